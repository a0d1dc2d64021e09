"""Checkpoint files: the tensors of a file, whatever wrote it, and their non-finite values.

The files are read without a framework, a model or pickle.
"""

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

# Exceptions of the libraries below for a file that is truncated, forged or of another format.
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
    """Yield name and values of each tensor in `path` whose dtype has NaN or infinity.

    Raises:
        UsageError: The file is missing, damaged or of an unknown format.
    """
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise UsageError(
            f"{path}: expected a file named {', '.join(f'*{suffix}' for suffix in _READERS)}; "
            f"received the suffix {path.suffix!r}"
        )
    try:
        path.open("rb").close()
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}; pass a checkpoint file"
        ) from None
    try:
        for name, value in reader(path):
            if value.dtype.kind in "fcV":
                yield name, _named(name, value)
    except _DAMAGED as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UsageError(f"{path}: cannot be read as a {path.suffix} file: {reason}") from None


def _named(name: str, value: np.ndarray) -> np.ndarray:
    """Read untyped pairs of bytes as bfloat16, which HDF5 and NumPy files cannot name."""
    if value.dtype.type is not np.void:
        return value
    if value.dtype.itemsize != 2:
        raise ValueError(f"{name} is of a type that the file does not name ({value.dtype})")
    return value.view(ml_dtypes.bfloat16)


def _keras(path: Path) -> Tensors:
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.namelist() if m.endswith((".h5", ".npz"))]
        if not members:
            raise ValueError("the archive has no weights")
        for member in members:
            # Unpacked to disk, because HDF5 seeks and weights may not fit into memory.
            with archive.open(member) as packed, tempfile.TemporaryFile() as unpacked:
                shutil.copyfileobj(packed, unpacked)
                unpacked.seek(0)
                yield from (_hdf5 if member.endswith(".h5") else _npz)(unpacked)


def _hdf5(file: Path | IO[bytes]) -> Tensors:
    with h5py.File(file, "r") as opened:
        # Names first, since the visit cannot yield values. It skips links, so an untrusted file
        # cannot refer to other files.
        names: list[str] = []
        opened.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
        for name in names:
            dataset = opened[name]
            if dataset.dtype.kind in "fcV":
                yield _with_layer(name, dataset), np.asarray(dataset[()])


def _with_layer(name: str, dataset: Any) -> str:
    """Return `layers/dense/vars/0`, with the name of the layer in brackets if Keras stored it."""
    layer = dataset.parent.attrs.get("name")
    known = isinstance(layer, str) and layer and layer not in name.split("/")
    return f"{name} ({layer})" if known else name


def _npz(file: Path | IO[bytes]) -> Tensors:
    if not zipfile.is_zipfile(file):
        raise ValueError("File is not a zip file")
    # Without pickle, because an array of objects in an untrusted file would run code.
    with np.load(file, allow_pickle=False) as arrays:
        for name in arrays.files:
            yield name, arrays[name]


def _safetensors(path: Path) -> Tensors:
    # The library checks header and offsets, but has no NumPy dtype for some of the tensors.
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


# Values counted at a time, so that a large tensor is not copied as a whole.
_BLOCK = 1 << 22


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


def count_file(path: Path) -> list[TensorCount]:
    """Count every floating-point tensor of a checkpoint, in the order of the file.

    Raises:
        UsageError: The file cannot be read.
    """
    return [count(name, value) for name, value in read(path)]


def count(name: str, value: np.ndarray) -> TensorCount:
    """Count one tensor. A complex value is NaN if a part is NaN, else infinite if a part is."""
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
    return TensorCount(name, flat.size, *map(int, totals))
