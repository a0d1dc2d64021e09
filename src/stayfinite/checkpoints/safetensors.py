"""The tensors of a safetensors file.

The library of that name has no NumPy dtype for some of them, and maps the whole file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

import ml_dtypes
import msgspec
import numpy as np

from stayfinite.checkpoints.stored import Blocks, Budget, StoredTensor, blocks_of
from stayfinite.files import limits

# The dtypes that have a NaN.
_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "C64": np.complex64,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
}
# It has a NaN, too. It came with ml_dtypes 0.5, which TensorFlow 2.18 excludes.
_E8M0 = "F8_E8M0"
if hasattr(ml_dtypes, "float8_e8m0fnu"):
    _DTYPES[_E8M0] = ml_dtypes.float8_e8m0fnu


_INTEGERS = {
    "BOOL": np.bool_,
    "I8": np.int8,
    "I16": np.int16,
    "I32": np.int32,
    "I64": np.int64,
    "U8": np.uint8,
    "U16": np.uint16,
    "U32": np.uint32,
    "U64": np.uint64,
}


# The other dtypes of the format, which have neither NaN nor infinity.
_FINITE = {*_INTEGERS, "F4", "F6_E2M3", "F6_E3M2"}


class _Entry(msgspec.Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def tensors(file: BinaryIO, budget: Budget) -> Iterator[StoredTensor]:
    """Yield each tensor of a file that is open at its beginning.

    Raises:
        ValueError: The file is damaged: tensors overlap, leave gaps or do not fill the file. Or it
            has a dtype that is not known, or that the installed ml_dtypes does not have.
    """
    for name, entry, start in _located(file):
        if entry.dtype == _E8M0 and _E8M0 not in _DTYPES:
            raise ValueError(f"{name:.200} is of the dtype {_E8M0}; install ml_dtypes 0.5 or later")
        if entry.dtype not in _DTYPES and entry.dtype not in _FINITE:
            raise ValueError(f"{name:.200} is of the dtype {entry.dtype:.20}, which is not known")
        if entry.dtype in _DTYPES:
            dtype = np.dtype(_DTYPES[entry.dtype])
            num_bytes = _num_bytes(name, entry, dtype)
            budget.take(num_bytes, name)
            read = partial(_values, file, start, num_bytes, dtype)
            yield StoredTensor(name, dtype, tuple(entry.shape), read)


def arrays(file: BinaryIO, budget: Budget) -> dict[str, np.ndarray]:
    """Each tensor of a file that is open at its beginning, integers too, by name.

    Raises:
        ValueError: As `tensors`, and for a dtype that NumPy does not have.
    """
    found: dict[str, np.ndarray] = {}
    for name, entry, start in _located(file):
        kind = _DTYPES.get(entry.dtype) or _INTEGERS.get(entry.dtype)
        if kind is None:
            raise ValueError(f"{name} is of the dtype {entry.dtype:.20}, which NumPy does not have")
        dtype = np.dtype(kind)
        num_bytes = _num_bytes(name, entry, dtype)
        budget.take(num_bytes, name)
        array = np.empty(entry.shape, dtype)
        flat, filled = array.reshape(-1), 0
        for block in _values(file, start, num_bytes, dtype):
            flat[filled : filled + block.size] = block
            filled += block.size
        found[name] = array
    return found


def _located(file: BinaryIO) -> Iterator[tuple[str, _Entry, int]]:
    """Each tensor by name, and where in the file its values begin."""
    length = int.from_bytes(file.read(8), "little")
    if length > limits.HEADER:
        raise ValueError(f"a header of {length:,} bytes, the limit is {limits.HEADER:,}")
    header = file.read(length)
    if len(header) < length:
        raise ValueError("the file ends within its header")
    entries = _entries(header)
    first = 8 + length
    _check_layout(entries, file.seek(0, os.SEEK_END) - first)
    for name, entry in entries.items():
        yield name, entry, first + entry.data_offsets[0]


def _num_bytes(name: str, entry: _Entry, dtype: np.dtype) -> int:
    start, end = entry.data_offsets
    # Two of them make a size that is not negative.
    if any(size < 0 for size in entry.shape):
        raise ValueError(f"{name:.200} has a negative size along an axis")
    if end - start != math.prod(entry.shape) * dtype.itemsize:
        raise ValueError(f"{name} of shape {entry.shape} does not have {end - start} bytes")
    return end - start


def _entries(header: bytes) -> dict[str, _Entry]:
    raw = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
    raw.pop("__metadata__", None)
    return {name: msgspec.json.decode(entry, type=_Entry) for name, entry in raw.items()}


def _check_layout(entries: dict[str, _Entry], num_bytes: int) -> None:
    """Check that the tensors lie one after another and fill the file, as the format has it."""
    end = 0
    for start, following in sorted(entry.data_offsets for entry in entries.values()):
        if start != end or following < start:
            raise ValueError(f"a tensor begins at {start}, where {end} was expected")
        end = following
    if end != num_bytes:
        raise ValueError(f"the tensors have {end:,} bytes, the file has {num_bytes:,} for them")


def _values(file: BinaryIO, start: int, num_bytes: int, dtype: np.dtype) -> Blocks:
    file.seek(start)
    yield from blocks_of(file, num_bytes, dtype)
