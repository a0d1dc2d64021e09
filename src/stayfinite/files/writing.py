"""A new file in place of another: the old one is there, or the new one, at any moment."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path


def put(new: Path, path: Path) -> None:
    """Move a complete file to `path`, on the same file system, so that a loss of power is safe.

    Raises:
        OSError: It could not be moved; `path` is unchanged.
    """
    with contextlib.suppress(OSError):  # there is none, or it belongs to somebody else
        shutil.copymode(path, new)
    _sync(new)
    new.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        # Windows and some network file systems cannot sync what is open for reading.
        if os.name == "posix" and path.is_file():
            raise
    finally:
        os.close(descriptor)
