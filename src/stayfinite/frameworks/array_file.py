"""Arrays in a file without a name: it takes no memory of the process, and ends with it.

What is written stays in the cache of the system, which gives that memory to whoever needs it. A
mapped file would not do: its pages count as memory of the process until the disk has them.
"""

from __future__ import annotations

import errno
import os
import tempfile
import weakref
from typing import NamedTuple

import numpy as np

# A multiple of 8, the size of the words that are summed up.
_CHUNK_BYTES = 16 * 2**20


class _Place(NamedTuple):
    """Where an array is, and the sum of its words, since a disk may lose what it has accepted."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype
    num_bytes: int
    checksum: int


class ArrayFile:
    """Arrays by number, in a file that is deleted as soon as it is open.

    Args:
        folder: Where the file takes its room.

    Raises:
        OSError: No file can be made there. Writing and reading raise it, too.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        with tempfile.TemporaryFile(dir=folder) as file:
            self._descriptor = os.dup(file.fileno())
        self.close = weakref.finalize(self, os.close, self._descriptor)
        self._process = os.getpid()
        self._places: dict[int, _Place] = {}
        self._end = 0

    @property
    def is_own(self) -> bool:
        """Whether this process made it; one that was forked since then must not write to it."""
        return self._process == os.getpid()

    def begin(self) -> None:
        """Forget the arrays. Those that are written next take their places in the same order."""
        self._places, self._end = {}, 0

    def write(self, number: int, array: np.ndarray) -> None:
        """Add an array, after those that were written."""
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        offset, checksum = self._end, 0
        for start in range(0, flat.size, _CHUNK_BYTES):
            chunk = flat[start : start + _CHUNK_BYTES]
            checksum += _sum_of(chunk)
            self._write(chunk, offset + start)
        self._places[number] = _Place(offset, array.shape, array.dtype, flat.size, checksum)
        self._end += flat.size

    def _write(self, chunk: np.ndarray, offset: int) -> None:
        left = chunk.data
        while left:
            try:
                written = os.pwrite(self._descriptor, left, offset)
            except OSError as error:
                raise OSError(error.errno, error.strerror, self._folder) from None
            left, offset = left[written:], offset + written

    def end(self) -> None:
        """Give back the room behind the last array."""
        os.ftruncate(self._descriptor, self._end)

    def discard(self, number: int) -> None:
        """Forget one array; its room is used again after `begin`."""
        del self._places[number]

    def sizes(self) -> dict[int, int]:
        """The arrays by number, and how many bytes they have."""
        return {number: place.num_bytes for number, place in self._places.items()}

    def read(self, number: int) -> np.ndarray:
        """A new array with the values that were written."""
        place = self._places[number]
        flat = np.empty(place.num_bytes, np.uint8)
        checksum = 0
        for start in range(0, flat.size, _CHUNK_BYTES):
            chunk = flat[start : start + _CHUNK_BYTES]
            self._read(chunk, place.offset + start)
            checksum += _sum_of(chunk)
        if checksum != place.checksum or not self.is_own:
            raise self._lost()
        return flat.view(place.dtype).reshape(place.shape)

    def _read(self, chunk: np.ndarray, offset: int) -> None:
        left = chunk.data
        while left:
            read = os.preadv(self._descriptor, [left], offset)
            if not read:
                raise self._lost()
            left, offset = left[read:], offset + read

    def _lost(self) -> OSError:
        return OSError(
            errno.EIO,
            "the state before a bad step was kept in a file that has other bytes now; "
            "set TMPDIR to a folder on another disk",
            self._folder,
        )


def _sum_of(chunk: np.ndarray) -> int:
    num_words = chunk.size // 8
    words = chunk[: 8 * num_words].view(np.uint64)
    return int(np.add.reduce(words)) + int.from_bytes(chunk[8 * num_words :].tobytes(), "little")
