"""Internal errors that must not hide the rest of an explanation.

A rule or a trial that fails is reported as a note, so that the others still run. Where the
environment variable `STAYFINITE_STRICT` is 1, the error is raised instead. The tests set it.
"""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # Keras prints messages in bold
VARIABLE = "STAYFINITE_STRICT"
_PACKAGE = Path(__file__).parent
# They remove their own frames from a traceback, so that it ends where this package calls them.
_FRAMEWORKS = frozenset(("jax", "jaxlib", "keras", "tensorflow", "torch"))


def is_strict() -> bool:
    """Whether internal errors are raised instead of reported."""
    return os.environ.get(VARIABLE) == "1"


def is_internal(error: BaseException) -> bool:
    """Whether `error` was raised in this package, neither in the user's code nor in a library."""
    if type(error).__module__.partition(".")[0] in _FRAMEWORKS:
        return False
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and Path(frames[-1].f_code.co_filename).is_relative_to(_PACKAGE)


def caught(where: str, error: Exception) -> str:
    """The note that reports `error`, an internal error of `where`.

    Raises:
        Exception: `error` itself, if `is_strict()`.
    """
    if is_strict():
        raise error
    message = _COLOURS.sub("", str(error))
    return f"{where} failed: {type(error).__name__}: {message}"
