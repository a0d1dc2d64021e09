"""HDF5 files of Keras: an error of the disk is raised, and does not end the process.

HDF5 keeps what it could not write, and ends the process by a segmentation fault when it is
closed. So it writes to an object of Python that takes everything and keeps the first error, which
is raised after the file is closed.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_ours = threading.local()
_lock = threading.Lock()
_num_blocks = 0
_undo: Callable[[], None] | None = None

# How each mode of `h5py.File` that writes opens the file, and what HDF5 does with it then.
_MODES = {"w": ("w+", "w"), "w-": ("x+", "w"), "x": ("x+", "w"), "r+": ("r+", "r+")}


@contextlib.contextmanager
def errors_raised_at_end() -> Iterator[None]:
    """Let this thread write HDF5 files by way of Python inside the block.

    Raises:
        OSError: A file could not be written. All files of the block are closed then, and it is for
            the caller to delete them.
    """
    outer = getattr(_ours, "files", None)
    files: list[_KeptErrors] = []
    _ours.files = files
    _hold()
    try:
        yield
    except Exception as raised:
        error = _first_error(files)
        if error is not None:
            raise error from raised
        raise
    else:
        error = _first_error(files)
        if error is not None:
            raise error
    finally:
        for file in files:
            file.close()
        _release()
        _ours.files = outer


def _first_error(files: list[_KeptErrors]) -> BaseException | None:
    for file in files:
        file.close()  # which may fail, too
    return next((file.error for file in files if file.error is not None), None)


def _hold() -> None:
    global _num_blocks, _undo
    # Imported here, because a training that saves nothing does not need it.
    import h5py

    with _lock:
        _num_blocks += 1
        if _undo is None:
            plain = h5py.File.__init__
            h5py.File.__init__ = _opening(plain)
            _undo = functools.partial(setattr, h5py.File, "__init__", plain)


def _release() -> None:
    global _num_blocks, _undo
    with _lock:
        _num_blocks -= 1
        if not _num_blocks and _undo is not None:
            _undo()
            _undo = None


def _opening(plain: Callable[..., None]) -> Callable[..., None]:
    """`h5py.File.__init__`, which opens a file that is written by a block of this thread anew."""

    @functools.wraps(plain)
    def open_file(
        opened: Any, name: Any, mode: str = "r", driver: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        files: list[_KeptErrors] | None = getattr(_ours, "files", None)
        is_path = driver is None and isinstance(name, str | bytes | os.PathLike)
        if files is None or mode not in ("a", *_MODES) or not is_path:
            plain(opened, name, mode, driver, *args, **kwargs)
            return
        if mode == "a":
            mode = "r+" if Path(os.fsdecode(name)).exists() else "w-"
        how, mode = _MODES[mode]
        file = _KeptErrors(name, how)
        files.append(file)
        plain(opened, name, mode, "fileobj", *args, fileobj=file, **kwargs)

    return open_file


def _write_at(descriptor: int, content: memoryview, position: int) -> int:
    """Write at a position; returns how many bytes were written."""
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, content, position)
    os.lseek(descriptor, position, os.SEEK_SET)  # on Windows
    return os.write(descriptor, content)


class _KeptErrors:
    """A file as HDF5 uses it. What is read where nothing could be written is zero.

    Raises:
        OSError: It could not be opened.
    """

    def __init__(self, path: str | bytes | os.PathLike[Any], mode: str) -> None:
        self._file = io.FileIO(os.fspath(path), mode)
        self._position = 0
        self._descriptor = self._file.fileno()
        self._size = os.fstat(self._descriptor).st_size
        self.error: BaseException | None = None

    def close(self) -> None:
        """Close it, whether or not HDF5 has done so."""
        self._attempt(self._file.close)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, which may be beyond what could be written."""
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            offset += self._size
        self._position = offset
        return offset

    def tell(self) -> int:
        """The position."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`."""
        view = memoryview(buffer).cast("B")
        self._attempt(functools.partial(self._read, view))
        self._position += len(view)
        return len(view)

    def read(self, size: int) -> bytes:
        """Read `size` bytes."""
        content = bytearray(size)
        self.readinto(content)
        return bytes(content)

    def write(self, content: Any) -> int:
        """Write `content`, or keep the error of the disk.

        HDF5 writes six times for each variable, a few hundred bytes each, so little is done here.
        """
        view = memoryview(content)
        size, position = view.nbytes, self._position
        if self.error is None:
            try:
                written = _write_at(self._descriptor, view, position)
                if written < size:
                    self._write_rest(view.cast("B"), written)
            except BaseException as error:  # HDF5 must not see it, not even that of an interrupt
                self.error = error
        self._position = end = position + size
        if end > self._size:
            self._size = end
        return size

    def truncate(self, size: int) -> int:
        """Set the size, which HDF5 does at the end."""
        if self.error is None:
            self._attempt(functools.partial(self._file.truncate, size))
        self._size = size
        return size

    def flush(self) -> None:
        """Do nothing, as nothing waits to be written."""

    def _read(self, view: memoryview) -> None:
        self._file.seek(self._position)
        while view:
            num_bytes = self._file.readinto(view)
            if not num_bytes:
                view[:] = bytes(len(view))
                return
            view = view[num_bytes:]

    def _write_rest(self, view: memoryview, written: int) -> None:
        while written < len(view):
            written += _write_at(self._descriptor, view[written:], self._position + written)

    def _attempt(self, do: Callable[[], object]) -> None:
        """Do it; HDF5 must not see an error, which may also be that of an interrupt."""
        try:
            do()
        except BaseException as error:
            self.error = self.error or error
