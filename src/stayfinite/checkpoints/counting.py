"""The number of NaN and infinite values of each tensor of a checkpoint."""

from __future__ import annotations

import itertools
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stayfinite.checkpoints import archives, hdf5, safetensors
from stayfinite.checkpoints.stored import Budget, StoredTensor
from stayfinite.errors import UsageError
from stayfinite.files.reading import is_file, is_folder, num_stored, open_regular

# What the libraries raise for a file that is truncated, forged or of another format. A file can
# state a size for which there is no memory.
DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    RuntimeError,  # also RecursionError, and NotImplementedError of zipfile
    MemoryError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
)

_LISTED = 5

_READERS: dict[str, Callable[[BinaryIO, Budget], Iterator[StoredTensor]]] = {
    ".keras": archives.keras,
    ".h5": hdf5.tensors,
    ".npz": archives.npz,
    ".safetensors": safetensors.tensors,
    ".hdf5": hdf5.tensors,
}


@dataclass(frozen=True)
class TensorCount:
    """The number of values of one tensor: all, NaN, +inf and -inf."""

    name: str
    num_values: int
    num_nan: int
    num_inf: int
    num_negative_inf: int

    @property
    def is_finite(self) -> bool:
        """Whether every value is a finite number."""
        return not (self.num_nan or self.num_inf or self.num_negative_inf)


def verify(path: str | Path) -> list[TensorCount]:
    """Count the NaN and infinite values of each floating-point tensor of a checkpoint.

    Reads `.keras`, `.h5`, `.weights.h5`, `.npz` and `.safetensors`, without a framework and without
    pickle. A large file is read in parts, so it need not fit into memory.

    Args:
        path: The file.

    Returns:
        One entry for each tensor, in the order of the file.

    Raises:
        UsageError: The file is missing, damaged or of an unknown format, refers to another file, or
            unpacks to far more than it occupies.

    Example:

    ```python
    bad = [tensor.name for tensor in stayfinite.verify("model.keras") if not tensor.is_finite]
    ```
    """
    with reading(Path(path)) as tensors:
        return [count(tensor) for tensor in tensors]


@contextmanager
def reading(path: Path) -> Iterator[Iterator[StoredTensor]]:
    """Open `path`; gives each tensor in it whose dtype has NaN or infinity.

    Raises:
        UsageError: As `verify`, also while the values are read.
    """
    if is_folder(path):
        raise UsageError(f"{path}: cannot be read: Is a directory; {_files_in(path)}")
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise UsageError(
            f"{path}: expected a file named {', '.join(f'*{suffix}' for suffix in _READERS)}; "
            f"received the suffix {path.suffix!r}"
        )
    try:
        file = open_regular(path)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}; pass a checkpoint file"
        ) from None
    with file:
        try:
            yield reader(file, Budget(num_stored(file)))
        except DAMAGED as error:
            raise UsageError(
                f"{path}: cannot be read as a {path.suffix} file: {reason(error)}"
            ) from None


def _files_in(folder: Path) -> str:
    """What to pass in the place of a folder."""
    levels = itertools.chain(folder.glob("*"), folder.glob("*/*"))
    found = sorted(path for path in levels if path.suffix in _READERS and is_file(path))
    if not found:
        return "pass a checkpoint file"
    listed = ", ".join(str(path.relative_to(folder)) for path in found[:_LISTED])
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return f"pass one of its files: {listed}{more}"


def reason(error: BaseException) -> str:
    """What is wrong with a file, in one line."""
    if isinstance(error, MemoryError):
        return "not enough memory for the sizes that it states"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def count(tensor: StoredTensor) -> TensorCount:
    """Count one tensor. A complex value is NaN if a part is NaN, else infinite if a part is."""
    num_nan = num_inf = num_negative_inf = 0
    for block in tensor.blocks():
        finite = np.isfinite(block)
        num_bad = block.size - int(np.count_nonzero(finite))
        if not num_bad:
            continue
        nan = np.isnan(block)
        num_infinite = num_bad - int(np.count_nonzero(nan))
        # Most bad tensors have NaN only.
        infinite = block[~(finite | nan)] if num_infinite else block[:0]
        num_negative = int(np.count_nonzero(infinite.real < 0))
        num_nan += num_bad - num_infinite
        num_inf += num_infinite - num_negative
        num_negative_inf += num_negative
    size = math.prod(tensor.shape)
    return TensorCount(tensor.name, size, num_nan, num_inf, num_negative_inf)
