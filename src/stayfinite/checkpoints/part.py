"""A part of a file as a file of its own."""

from __future__ import annotations

import errno
import io
from typing import BinaryIO

from stayfinite.files import limits


class FilePart:
    """The bytes of `file` from `start`, `size` of them, for `zipfile` and `h5py`.

    `read` is limited, because `zipfile` reads the directory of an archive at once.
    """

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self._size = size
        self._position = 0

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position in the part."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position.

        Raises:
            OSError: It is before the beginning; `zipfile` expects it of what is no archive.
        """
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "a position before the beginning of the file")
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes.

        Raises:
            ValueError: It is more than `limits.HEADER`.
        """
        wanted = self._within(size if size is not None and size >= 0 else self._size)
        if wanted > limits.HEADER:
            raise ValueError(f"a directory of {wanted:,} bytes, the limit is {limits.HEADER:,}")
        return self._take(wanted)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill `buffer` as far as the part goes."""
        view = memoryview(buffer).cast("B")
        content = self._take(self._within(len(view)))
        view[: len(content)] = content
        return len(content)

    def _within(self, size: int) -> int:
        return min(size, max(0, self._size - self._position))

    def _take(self, size: int) -> bytes:
        self._file.seek(self._start + self._position)
        content = self._file.read(size)
        self._position += len(content)
        return content
