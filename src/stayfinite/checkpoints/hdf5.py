"""The tensors of an HDF5 file, read within the file only.

HDF5 can read other files of the machine: by external links, external storage and virtual datasets.

`h5py` is imported by the functions that need it, because a report may be written while the program
exits, and a first import of `h5py` then ends the process with a segmentation fault.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from stayfinite.checkpoints.stored import Blocks, Budget, StoredTensor, has_nonfinite, named
from stayfinite.files import limits

if TYPE_CHECKING:
    import h5py


def tensors(file: BinaryIO, budget: Budget) -> Iterator[StoredTensor]:
    """Yield each tensor of a file.

    Raises:
        ValueError: The file refers to another file, or is damaged.
    """
    import h5py

    with h5py.File(file, "r") as opened:
        for name, layer, dataset in _datasets(opened):
            # A call of HDF5 each time that one of these is asked for.
            shape, stored = dataset.shape, dataset.dtype
            if shape is None or not has_nonfinite(stored):
                continue
            budget.take(math.prod(shape) * stored.itemsize, name)
            label = f"{name} ({layer})" if layer and layer not in name.split("/") else name
            dtype = named(stored, label)
            yield StoredTensor(label, dtype, shape, partial(_values, dataset, dtype))


def _datasets(opened: h5py.File) -> Iterator[tuple[str, str | None, h5py.Dataset]]:
    """Yield each dataset once, with its name and that of its layer if Keras stored it.

    Without recursion, as groups may be nested to any depth.
    """
    import h5py

    seen = set()
    num_links = 0
    waiting: list[tuple[int, str, h5py.Group]] = [(0, "", opened)]
    while waiting:
        depth, path, group = waiting.pop()
        if depth > limits.HDF5_DEPTH:
            raise ValueError(f"groups are nested more than {limits.HDF5_DEPTH} deep")
        groups = []
        layer = _layer(group)
        for name in group:
            num_links += 1
            if num_links > limits.HDF5_LINKS:
                raise ValueError(f"more than {limits.HDF5_LINKS:,} names")
            inner = f"{path}{name}"
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise ValueError(f"{inner} is a link to another file, which is not read")
            if isinstance(link, h5py.SoftLink):
                continue  # to an object that has a name of its own
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.Group):
                groups.append((depth + 1, f"{inner}/", item))
            elif isinstance(item, h5py.Dataset):
                _refuse_other_files(inner, item)
                yield inner, layer, item
        waiting += reversed(groups)


def _refuse_other_files(name: str, dataset: h5py.Dataset) -> None:
    import h5py

    layout = dataset.id.get_create_plist()
    if layout.get_external_count() or layout.get_layout() == h5py.h5d.VIRTUAL:
        raise ValueError(f"{name} has its values in another file, which is not read")


def _layer(group: h5py.Group) -> str | None:
    """The name of the layer that a group belongs to, if Keras stored it."""
    attributes = group.attrs
    if "name" not in attributes or attributes.get_id("name").get_storage_size() > limits.NAME:
        return None
    layer = attributes["name"]
    return layer if isinstance(layer, str) else None


def _values(dataset: h5py.Dataset, dtype: np.dtype) -> Blocks:
    if not dataset.size:
        return
    if dataset.chunks is None and dataset.nbytes <= limits.BLOCK:
        values = np.asarray(dataset[()]).reshape(-1)
        yield values.view(dtype) if values.dtype.type is np.void else values
        return
    steps = _steps(dataset)
    starts = (range(0, size, step) for size, step in zip(dataset.shape, steps, strict=True))
    for corner in product(*starts):
        region = tuple(slice(at, at + step) for at, step in zip(corner, steps, strict=True))
        values = np.asarray(dataset[region]).reshape(-1)
        yield values.view(dtype) if values.dtype.type is np.void else values


def _steps(dataset: h5py.Dataset) -> tuple[int, ...]:
    """The shape of a block: whole chunks, as many along the last axes as fit.

    Raises:
        ValueError: The chunks are too large or too many to be read.
    """
    chunk = dataset.chunks or (1,) * len(dataset.shape)
    num_bytes = math.prod(chunk) * dataset.dtype.itemsize
    counts = [-(-size // step) for size, step in zip(dataset.shape, chunk, strict=True)]
    room = max(1, limits.BLOCK // num_bytes)
    if dataset.chunks is not None:
        if num_bytes > limits.HDF5_CHUNK or math.prod(counts) > limits.HDF5_CHUNKS_OF_DATASET:
            raise ValueError(
                f"{dataset.name} has {math.prod(counts):,} chunks of {num_bytes:,} bytes; "
                f"the limits are {limits.HDF5_CHUNKS_OF_DATASET:,} and {limits.HDF5_CHUNK:,}"
            )
        room = min(room, limits.HDF5_CHUNKS)
    steps = list(chunk)
    for axis in reversed(range(len(steps))):
        along = min(counts[axis], room)
        steps[axis] = along * chunk[axis]
        room = room // along if along == counts[axis] else 1
    return tuple(steps)
