"""One tensor in a file, and how much a file may unpack to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

import ml_dtypes
import numpy as np

from stayfinite.files import limits

Blocks = Iterator[np.ndarray]

_BFLOAT16: np.dtype = np.dtype(ml_dtypes.bfloat16)


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a file.

    Attributes:
        name: Its name in the file.
        dtype: The dtype of its values; it has NaN or infinity.
        shape: Its shape.
        blocks: Reads the values, in any order, as arrays of at most `limits.BLOCK` bytes, or of one
            chunk of an HDF5 dataset. To be called before the next tensor is asked for.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    blocks: Callable[[], Blocks]


class Budget:
    """The bytes of values that a file may unpack to, by the bytes that it occupies."""

    def __init__(self, num_stored: int) -> None:
        self._num_stored = num_stored
        self._left = limits.ALWAYS_UNPACKED + limits.EXPANSION * num_stored

    def take(self, num_bytes: int, name: str) -> None:
        """Count `num_bytes` more.

        Raises:
            ValueError: It is more than a checkpoint of this size has.
        """
        self._left -= num_bytes
        if self._left < 0:
            raise ValueError(
                f"{name} has {num_bytes:,} bytes of values, more than {limits.EXPANSION} for each "
                f"of the {self._num_stored:,} bytes that are stored"
            )


def has_nonfinite(dtype: np.dtype) -> bool:
    """Whether a dtype of a file may have NaN or infinity; an unnamed one may."""
    return dtype.kind in "fcV"


def may_be_saved(values: np.ndarray, *, may_be_infinite: bool) -> bool:
    """Whether no value of a variable is NaN, or infinite where it must not be.

    What is no floating-point number, as the state of a random generator, may have any value.
    """
    if not has_nonfinite(values.dtype):
        return True
    return not bool(np.any(np.isnan(values) if may_be_infinite else ~np.isfinite(values)))


def named(dtype: np.dtype, name: str) -> np.dtype:
    """Read untyped pairs of bytes as bfloat16, which HDF5 and NumPy files cannot name.

    Raises:
        ValueError: The dtype is of another size, or has fields.
    """
    if dtype.type is not np.void:
        return dtype
    if dtype.itemsize != 2 or dtype.names or dtype.subdtype:
        raise ValueError(f"{name} is of a type that the file does not name ({dtype})")
    return _BFLOAT16


def blocks_of(file: IO[bytes], num_bytes: int, dtype: np.dtype) -> Blocks:
    """Read values that lie one after another from here on.

    Raises:
        ValueError: The file ends before.
    """
    at_a_time = max(1, limits.BLOCK // dtype.itemsize) * dtype.itemsize
    while num_bytes:
        block = file.read(min(at_a_time, num_bytes))
        if not block or len(block) % dtype.itemsize:
            raise ValueError("the file ends within a tensor")
        num_bytes -= len(block)
        yield np.frombuffer(block, dtype)
