"""Open regular files only, and count the bytes of a file that are stored.

A path may be a FIFO, which blocks, a device, which has no end, or a sparse file.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from stayfinite.files import limits

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

# Windows has neither.
_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file, without a wait for a FIFO or a device.

    Raises:
        OSError: There is none at `path`, or it cannot be read; `strerror` is one line.
    """
    try:
        # Asked first, because to open a device may have an effect.
        _refuse_other_kinds(path.stat().st_mode)
        # Without O_NONBLOCK, to open a FIFO that is there by now would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | _NO_WAIT)
    except ValueError as error:  # a null character
        raise OSError(errno.EINVAL, str(error)) from None
    try:
        _refuse_other_kinds(os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except OSError:
        os.close(descriptor)
        raise


def _refuse_other_kinds(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise OSError(errno.EINVAL, f"Is {kind}, not a file")


def is_folder(path: Path) -> bool:
    """Whether there is a folder at `path`.

    Unlike `Path.is_dir` before Python 3.14, this raises nothing for a path that may not be looked
    at or has too long a name: to open it then gives the reason.
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def is_there(path: Path) -> bool:
    """Whether something may be at `path`; False only if it is known that there is nothing."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    return True


def is_file(path: Path) -> bool:
    """Whether there is a regular file at `path`; raises nothing, as `is_folder`."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def read_at_most(path: Path, limit: int) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: As `open_regular`.
        ValueError: It has more than `limit` bytes.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"more than {limit:,} bytes, the limit for this file")
    return content


def num_stored(file: BinaryIO) -> int:
    """Return the number of bytes of a file that are not in holes of a sparse file.

    Where the system does not know of holes, the size of the file.
    """
    descriptor, size = file.fileno(), os.fstat(file.fileno()).st_size
    if not hasattr(os, "SEEK_HOLE"):
        return size
    before, stored, end = file.tell(), 0, 0
    try:
        for _ in range(limits.EXTENTS):
            start = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
            stored += end - start
        return stored + size - end
    except OSError as error:
        # ENXIO: no data follows. Otherwise the file system does not support the question.
        return stored if error.errno == errno.ENXIO else size
    finally:
        os.lseek(descriptor, before, os.SEEK_SET)
