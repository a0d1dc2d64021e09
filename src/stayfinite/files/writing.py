"""A new file in place of another: the old one is there, or the new one, at any moment."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]


# Another process may have made its folder, and not locked it yet.
_SECONDS_TO_LOCK = 5


@contextlib.contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """A folder for a file that will be put at `path`, deleted at the end.

    It is beside `path`, because a file is moved at once only within a file system. Folders of
    processes that were killed meanwhile are deleted, too.

    Raises:
        OSError: It could not be made.
    """
    # Shortened, because a name may have 255 bytes.
    name = path.name.encode()[:100].decode(errors="ignore")
    prefix, suffix = f".{name}.", ".unfinished"
    for left in path.parent.glob(f"{glob.escape(prefix)}*{suffix}"):
        with _locked(left) as is_ours:
            if is_ours and _age(left) > _SECONDS_TO_LOCK:
                shutil.rmtree(left, ignore_errors=True)
    try:
        folder = Path(tempfile.mkdtemp(suffix, prefix, path.parent))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        with _locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def in_errors(name: str, temporary: Path) -> Iterator[None]:
    """Have an error of the block name the file of the user in the place of a temporary one.

    A full disk is told without a name by some libraries; that error gets the name, too.

    Args:
        name: The path as the user has it.
        temporary: The file that is written in the block.
    """

    def told(text: Any) -> Any:
        return text.replace(str(temporary), name) if isinstance(text, str) else text

    try:
        yield
    except (OSError, ValueError) as error:
        error.args = tuple(map(told, error.args))
        if isinstance(error, OSError) and error.errno is not None:
            if error.filename is None and error.strerror == os.strerror(error.errno):
                error.filename = name
            elif error.filename is not None:
                error.filename, error.filename2 = told(error.filename), None
            error.strerror = told(error.strerror)
        raise


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock a folder until the end of the block or of the process; False if another has done so."""
    if fcntl is None:
        yield False
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = True
    except OSError:
        is_ours = False
    try:
        yield is_ours
    finally:
        os.close(descriptor)


def put(new: Path, path: Path) -> None:
    """Move a complete file to `path`, on the same file system, so that a loss of power is safe.

    Raises:
        OSError: It could not be moved; `path` is unchanged.
    """
    _prepare(new, path)
    new.replace(path)
    _sync(path.parent)


def put_all(files: Sequence[Path], folder: Path) -> None:
    """Move files that belong together to `folder`, one at once after the other, as `put` does.

    Raises:
        OSError: One could not be moved; none after it was.
    """
    for file in files:
        _prepare(file, folder / file.name)
    for file in files:
        file.replace(folder / file.name)
    _sync(folder)


def _prepare(new: Path, path: Path) -> None:
    with contextlib.suppress(OSError):  # there is none, or it belongs to another user
        shutil.copymode(path, new)
    _sync(new)


def put_text(path: Path, text: str) -> None:
    """Write a file with `text` at `path`, as `put` does.

    Raises:
        OSError: It could not be written; `path` is unchanged.
    """
    with folder_beside(path) as folder:
        new = folder / path.name
        new.write_text(text, encoding="utf-8")
        put(new, path)


def put_folder(new: Path, path: Path, *, replaces: bool = False) -> None:
    """Move a complete folder of files to `path`, as `put` does with a file.

    Args:
        replaces: Whether a folder at `path` is moved beside `new` first, because a folder cannot
            be replaced at once.

    Raises:
        OSError: It could not be moved; there may be another folder at `path`.
    """
    for file in new.iterdir():
        _sync(file)
    _sync(new)
    if replaces and path.is_dir() and not path.is_symlink():
        path.replace(new.with_name(f"{new.name}.replaced"))
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
