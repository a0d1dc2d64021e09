"""Files that the user's code writes while a step is made again: written elsewhere, and forgotten.

What the run writes it can read again. Files that were there stay as they are.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from stayfinite.frameworks.attributes import nothing, replaced

# Functions of `os` and `shutil` that change files, and how many of their arguments are paths.
_CHANGING = (
    (os, ("mkdir", "makedirs", "rmdir", "removedirs", "chmod", "truncate", "symlink", "link")),
    (shutil, ("rmtree", "copy", "copy2", "copyfile", "copytree", "move")),
)
_MKDIR = os.mkdir
_DELETING = ("remove", "unlink")
_MOVING = ("rename", "renames", "replace")


@contextlib.contextmanager
def elsewhere() -> Iterator[None]:
    """Inside the block, files that Python code opens for writing are in a folder of their own."""
    written = _Written(builtins.open)
    with contextlib.ExitStack() as stack:
        stack.callback(written.forget)
        for owner in (builtins, io):
            stack.enter_context(replaced(owner, "open", written.open))
        for owner, names in _CHANGING:
            for name in names:
                stack.enter_context(replaced(owner, name, nothing))
        for name in _DELETING:
            stack.enter_context(replaced(os, name, written.delete))
        for name in _MOVING:
            stack.enter_context(replaced(os, name, written.move))
        yield


@contextlib.contextmanager
def kept_files(values: Iterable[object]) -> Iterator[None]:
    """Open files among `values` end where they ended before the block."""
    files = [v for v in values if isinstance(v, io.IOBase) and not v.closed and _is_kept(v)]
    places = [file.tell() for file in files]
    try:
        yield
    finally:
        for file, place in zip(files, places, strict=True):
            file.flush()
            file.seek(place)
            file.truncate()


def _is_kept(file: io.IOBase) -> bool:
    return file.writable() and file.seekable()


class _Written:
    """The files that were written since the block began, by their paths."""

    def __init__(self, plain: Callable[..., Any]) -> None:
        self._plain = plain
        self._folder: Path | None = None
        self._paths: dict[str, Path] = {}
        self._number = 0
        self._opened: list[Any] = []

    def open(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        """As `open`, with the path replaced where the file is written or was."""
        if isinstance(file, int) or not isinstance(mode, str):
            return self._plain(file, mode, *args, **kwargs)
        key = _key(file)
        if key in self._paths:
            return self._plain(self._paths[key], mode, *args, **kwargs)
        if not set(mode) & set("wax+") or key == os.devnull:
            return self._plain(file, mode, *args, **kwargs)
        if "x" in mode and Path(key).exists():
            raise FileExistsError(f"{key} exists")
        path = self._new_path()
        if ("a" in mode or "r" in mode) and Path(key).is_file():
            self._copy(key, path)
        self._paths[key] = path
        opened = self._plain(path, mode, *args, **kwargs)
        self._opened.append(opened)
        return opened

    def delete(self, path: Any, *args: Any, **kwargs: Any) -> None:
        """Forget a file of this block; others stay."""
        self._paths.pop(_key(path), None)

    def move(self, source: Any, target: Any, *args: Any, **kwargs: Any) -> None:
        """Give a file of this block another path; others stay."""
        path = self._paths.pop(_key(source), None)
        if path is not None:
            self._paths[_key(target)] = path

    def forget(self) -> None:
        """Close and delete what was written."""
        for file in self._opened:
            file.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _new_path(self) -> Path:
        if self._folder is None:
            with contextlib.ExitStack() as stack:
                stack.enter_context(replaced(os, "mkdir", _MKDIR))
                self._folder = Path(tempfile.mkdtemp(prefix="stayfinite-"))
        self._number += 1
        return self._folder / str(self._number)

    def _copy(self, source: str, target: Path) -> None:
        with self._plain(source, "rb") as old, self._plain(target, "wb") as new:
            shutil.copyfileobj(old, new)


def _key(path: Any) -> str:
    return str(Path(os.fsdecode(path)).absolute())
