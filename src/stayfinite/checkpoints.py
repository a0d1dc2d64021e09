"""X"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import h5py
import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from stayfinite.errors import UsageError

Tensors = Iterator[tuple[str, np.ndarray]]

# What the libraries below raise for a file that is cut off, forged, or of another format.
_DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    SafetensorError,
)

# The dtypes of safetensors that have a NaN; all others (integers, F4, F6) are always finite.
_SAFETENSORS = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "C64": np.complex64,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
}


def read(path: Path) -> Tensors:
    """Yield name and values of each tensor in `path` that could hold a NaN or an infinity.

    Raises:
        UsageError: the file is missing, damaged or of no format known here.
    """
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise UsageError(f"{path}: not a checkpoint by its name; expected {', '.join(_READERS)}")
    try:
        path.open("rb").close()  # its error is the system's, shorter than that of a library
        for name, value in reader(path):
            if value.dtype.kind in "fcV":
                yield name, _named(name, value)
    except _DAMAGED as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UsageError(f"{path}: cannot be read as a {path.suffix} file: {reason}") from None


def _named(name: str, value: np.ndarray) -> np.ndarray:
    """HDF5 and NumPy files do not name bfloat16; it is in them as two bytes without a type."""
    if value.dtype.type is not np.void:
        return value
    if value.dtype.itemsize != 2:
        raise ValueError(f"{name} is of a type that the file does not name ({value.dtype})")
    return value.view(ml_dtypes.bfloat16)


def _keras(path: Path) -> Tensors:
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.namelist() if m.endswith((".h5", ".npz"))]
        if not members:
            raise ValueError("it holds no weights")
        for member in members:
            # On disk and not in memory: HDF5 needs to seek, and weights are large.
            with archive.open(member) as packed, tempfile.TemporaryFile() as unpacked:
                shutil.copyfileobj(packed, unpacked)
                unpacked.seek(0)
                yield from (_hdf5 if member.endswith(".h5") else _npz)(unpacked)


def _hdf5(file: Path | IO[bytes]) -> Tensors:
    with h5py.File(file, "r") as opened:
        # Named first and read after: values cannot be yielded from inside the visit, which also
        # leaves out links, so a stranger's file does not lead to other files.
        names: list[str] = []
        opened.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
        for name in names:
            dataset = opened[name]
            if dataset.dtype.kind in "fcV":
                yield _with_layer(name, dataset), np.asarray(dataset[()])


def _with_layer(name: str, dataset: Any) -> str:
    """`layers/dense/vars/0`, and in brackets the layer's own name where Keras left it."""
    layer = dataset.parent.attrs.get("name")
    known = isinstance(layer, str) and layer and layer not in name.split("/")
    return f"{name} ({layer})" if known else name


def _npz(file: Path | IO[bytes]) -> Tensors:
    if not zipfile.is_zipfile(file):
        raise ValueError("File is not a zip file")
    # Without pickle: an array of objects in a stranger's file would run code.
    with np.load(file, allow_pickle=False) as arrays:
        for name in arrays.files:
            yield name, arrays[name]


def _safetensors(path: Path) -> Tensors:
    # The library checks header and offsets, but has no NumPy type for some of the dtypes.
    with safe_open(path, framework="numpy"):
        pass
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        for name, entry in header.items():
            if name == "__metadata__" or entry["dtype"] not in _SAFETENSORS:
                continue
            start, end = entry["data_offsets"]
            file.seek(8 + length + start)
            yield name, np.frombuffer(file.read(end - start), _SAFETENSORS[entry["dtype"]])


_READERS: dict[str, Callable[[Path], Tensors]] = {
    ".keras": _keras,
    ".h5": _hdf5,
    ".npz": _npz,
    ".safetensors": _safetensors,
}


# Values looked at in one go, so that a large tensor needs no second copy of itself.
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Count:
    """One tensor with its numbers of values: all of them, NaN, +inf, -inf."""

    name: str
    num_values: int
    num_nan: int
    num_inf: int
    num_negative_inf: int

    @property
    def is_finite(self) -> bool:
        """Whether every value is a finite number."""
        return not (self.num_nan or self.num_inf or self.num_negative_inf)


def count_file(path: Path) -> list[Count]:
    """Count every floating-point tensor of a checkpoint, in the order of the file.

    Raises:
        UsageError: the file cannot be read.
    """
    return [count(name, value) for name, value in read(path)]


def count(name: str, value: np.ndarray) -> Count:
    """Count one tensor. A complex value is NaN if one of its parts is, else infinite if one is."""
    flat = value.reshape(-1)
    totals = np.zeros(3, dtype=np.int64)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        finite = np.isfinite(block)
        if finite.all():
            continue
        bad = block[~finite]
        bad = bad[~np.isnan(bad)]
        num_negative = int(np.sum(bad.real < 0))
        totals += (block.size - finite.sum() - bad.size, bad.size - num_negative, num_negative)
    return Count(name, flat.size, *map(int, totals))
