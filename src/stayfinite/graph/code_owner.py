"""Whose code a file is: of the user, or of an installed library."""

from __future__ import annotations

import contextlib
import functools
import linecache
import sys
import sysconfig
import traceback
from pathlib import Path

from stayfinite.graph.cells import TIMED, keep_timed_text

_OURS = Path(__file__).resolve().parents[1]
_INSTALLED = tuple(
    Path(sysconfig.get_paths()[key]).resolve()
    for key in ("stdlib", "platstdlib", "purelib", "platlib")
)
# File names of source that has no file: cells, interpreter input, `python -c`, `exec`. Other names
# in angle brackets belong to code that libraries generate, such as `<attrs generated init ...>`.
_TYPED = ("<ipython-input", "<python-input", "<stdin", "<string>", "<console>")
# Those of an interpreter that keeps no text: no library generates code under these names.
_WITHOUT_TEXT = ("<stdin>", "<console>")
# Code of these is never what a user can change or configure: frameworks, trainers, plumbing.
_FOUNDATIONS = frozenset(
    "accelerate functorch jax jaxlib keras lightning numpy optree pytorch_lightning scipy "
    "tensorflow tf_keras torch torchgen triton".split()
)

_FRAMEWORKS = ("jax", "jaxlib", "keras", "numpy", "tensorflow", "torch")


def is_user_file(filename: str) -> bool:
    """Whether code of `filename` is the user's: not of an installed library or of stayfinite.

    A name such as `<string>` counts if `linecache` has its lines.
    """
    if filename in _WITHOUT_TEXT:
        return True
    if filename in TIMED:
        return keep_timed_text()
    if filename.startswith("<"):
        return filename.startswith(_TYPED) and bool(linecache.getlines(filename))
    return _is_user_path(filename)


def passes_user_code(error: BaseException) -> bool:
    """Whether an error was raised in code of the user, or in what such code called."""
    return any(
        is_user_file(frame.f_code.co_filename)
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


@functools.cache
def library_of(filename: str) -> str | None:
    """The installed package with models or losses that a file is of, such as `transformers`.

    None for code of the user, of stayfinite, of Python, of frameworks and of trainers.
    """
    path = _below_packages(filename)
    if path is None:
        return None
    name = path.parts[0].removesuffix(".py")
    return None if name in _FOUNDATIONS or name == "stayfinite" else name


def below_library_folder(filename: str) -> str:
    """The path of a file of an installed package from the folder of packages on."""
    return str(_below_packages(filename) or filename)


def _below_packages(filename: str) -> Path | None:
    parts = Path(filename).parts
    for folder in ("site-packages", "dist-packages"):
        if folder in parts and not filename.startswith("<"):
            return Path(*parts[len(parts) - parts[::-1].index(folder) :])
    return None


@functools.cache
def _is_user_path(filename: str) -> bool:
    path = Path(filename)
    # A relative name cannot be resolved once the working directory is deleted.
    with contextlib.suppress(OSError):
        path = path.resolve() if path.is_symlink() else path.absolute()
    return _is_user_folder(path.parent)


# By folder: thousands of modules are loaded, and to resolve the name of each takes long.
@functools.cache
def _is_user_folder(path: Path) -> bool:
    with contextlib.suppress(OSError):
        path = path.resolve()
    # A framework may be elsewhere, as by `pip install --target`.
    loaded = [sys.modules[name] for name in _FRAMEWORKS if name in sys.modules]
    frameworks = [
        Path(folder).resolve() for module in loaded for folder in getattr(module, "__path__", ())
    ]
    if any(path.is_relative_to(folder) for folder in (_OURS, *_INSTALLED, *frameworks)):
        return False
    return not {"site-packages", "dist-packages"}.intersection(path.parts)
