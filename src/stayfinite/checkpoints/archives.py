"""The tensors of zip archives: `.npz` of NumPy and `.keras`."""

from __future__ import annotations

import io
import math
import shutil
import struct
import tempfile
import tokenize
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from typing import IO, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy

from stayfinite.checkpoints import hdf5
from stayfinite.checkpoints.part import FilePart
from stayfinite.checkpoints.stored import (
    Budget,
    StoredTensor,
    blocks_of,
    has_nonfinite,
    named,
)
from stayfinite.files import limits

# What NumPy and Keras write. The others unpack to any size at once.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# The header of a member, of which the last two numbers are lengths of what follows it.
_LOCAL_HEADER = struct.Struct("<26xHH")


def npz(file: BinaryIO, budget: Budget) -> Iterator[StoredTensor]:
    """Yield each array of an `.npz` file.

    Raises:
        ValueError: A member is not an array, or an array of pickled objects.
    """
    with _archive(file) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            with _open(archive, member) as packed:
                dtype, shape = _header(packed, name)
                num_bytes = math.prod(shape) * dtype.itemsize
                if member.file_size - packed.tell() != num_bytes:
                    raise ValueError(f"{name} of shape {shape} does not have {num_bytes:,} bytes")
                if has_nonfinite(dtype):
                    budget.take(num_bytes, name)
                    dtype = named(dtype, name)
                    values = partial(blocks_of, packed, num_bytes, dtype)
                    yield StoredTensor(name, dtype, shape, values)


def keras(file: BinaryIO, budget: Budget) -> Iterator[StoredTensor]:
    """Yield each tensor of the weights in a `.keras` file.

    Raises:
        ValueError: The archive has no weights, or they are damaged.
    """
    with _archive(file) as archive:
        members = [m for m in archive.infolist() if m.filename.endswith((".h5", ".npz"))]
        if not members:
            raise ValueError("the archive has no weights")
        for member in members:
            with _unpacked(file, archive, member, budget) as weights:
                inner = hdf5.tensors if member.filename.endswith(".h5") else npz
                yield from inner(weights, budget)


def _archive(file: BinaryIO) -> zipfile.ZipFile:
    size = file.seek(0, io.SEEK_END)
    archive = zipfile.ZipFile(cast(BinaryIO, FilePart(file, 0, size)))
    if sum(member.compress_size for member in archive.infolist()) > size:
        raise ValueError("the archive has several names for the same content")
    return archive


def _open(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    if member.compress_type not in _METHODS:
        raise ValueError(f"{member.filename} is packed in a way that NumPy and Keras do not use")
    return archive.open(member)


def _header(packed: IO[bytes], name: str) -> tuple[np.dtype, tuple[int, ...]]:
    try:
        version = npy.read_magic(packed)
    except ValueError:
        raise ValueError(f"{name} is not an array") from None
    prefix = packed.read(2 if version == (1, 0) else 4)
    text = packed.read(min(int.from_bytes(prefix, "little"), limits.ARRAY_HEADER))
    dtype, shape = _parsed(version == (1, 0), prefix + text)
    if dtype.hasobject:
        raise ValueError(f"{name}: Object arrays are pickled and are not read")
    return dtype, shape


# Most headers of a file are those of arrays before.
@lru_cache(maxsize=1024)
def _parsed(is_first_version: bool, header: bytes) -> tuple[np.dtype, tuple[int, ...]]:
    # Version 3.0 differs in the encoding of the names of fields, of which none is read.
    read = npy.read_array_header_1_0 if is_first_version else npy.read_array_header_2_0
    try:
        shape, _, dtype = read(io.BytesIO(header))
    except (SyntaxError, tokenize.TokenError) as error:  # the header is a literal of Python
        raise ValueError(f"the header of an array cannot be read: {error.args[0]}") from None
    return dtype, shape


@contextmanager
def _unpacked(
    file: BinaryIO, archive: zipfile.ZipFile, member: zipfile.ZipInfo, budget: Budget
) -> Iterator[BinaryIO]:
    """A member as a file that can seek; one that is stored as it is, without a copy."""
    budget.take(member.file_size, member.filename)
    with _open(archive, member) as packed, ExitStack() as stack:
        if member.compress_type == zipfile.ZIP_STORED:
            while packed.read(limits.BLOCK):  # to its end, where its checksum is compared
                pass
            start = _start_of(file, member)
            yield cast(BinaryIO, FilePart(file, start, member.file_size))
        else:
            # On the disk, because weights may not fit into memory.
            unpacked = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(packed, unpacked)
            unpacked.seek(0)
            yield cast(BinaryIO, unpacked)


def _start_of(file: BinaryIO, member: zipfile.ZipInfo) -> int:
    """The position of the content, behind a header with two parts of any length."""
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    name_length, extra_length = _LOCAL_HEADER.unpack(header)
    return member.header_offset + len(header) + int(name_length) + int(extra_length)
