"""Which line of the user's plain Python made the first non-finite number.

For code that runs on the host, outside of the step: an initialiser, a schedule. It is run again,
and the local variables are checked after each line.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from stayfinite.graph.code_owner import is_user_file
from stayfinite.graph.graph import Span
from stayfinite.strict import caught, is_internal

# Lines; a longer run is not watched to its end.
_MAX_LINES = 100_000
_MAX_ELEMENTS = 1_000_000


class _Found(BaseException):
    """Ends the run: the line is known. Not an `Exception`: the user's code must not swallow it."""


def first_bad_line(call: Callable[[], object]) -> Span | None:
    """The user's line after which a local variable, or the result, is first non-finite.

    None if there is none, or if `call` raises.
    """
    watch = _Watch()
    before = sys.gettrace()
    sys.settrace(watch.enter)
    try:
        call()
    except _Found:
        pass
    except Exception as error:
        if is_internal(error):
            caught("watching the lines of a function", error)
        return None
    finally:
        sys.settrace(before)
    return watch.found


class _Watch:
    def __init__(self) -> None:
        self.found: Span | None = None
        self._num_lines = 0
        # By frame: the line that has just been run, and the variables that were bad before it.
        self._line: dict[FrameType, int] = {}
        self._bad: dict[FrameType, set[str]] = {}

    def enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not is_user_file(frame.f_code.co_filename):
            return None
        self._bad[frame] = _bad_locals(frame)
        return self.follow

    def follow(self, frame: FrameType, event: str, arg: Any) -> Any:
        self._num_lines += 1
        if self._num_lines > _MAX_LINES:
            raise _Found
        line = self._line.get(frame)
        fresh = _bad_locals(frame) - self._bad[frame]
        if line is not None and (fresh or (event == "return" and _is_bad(arg))):
            self._tell(frame, line)
        self._line[frame] = frame.f_lineno
        return self.follow

    def _tell(self, frame: FrameType, line: int) -> None:
        code = frame.f_code
        lines = [p for p in code.co_positions() if p[0] == line and None not in p]
        column = min((p[2] or 0 for p in lines), default=0)
        end = max(((p[1] or line, p[3] or 0) for p in lines), default=(line, column))
        self.found = Span(code.co_filename, line, column, end[0], end[1], code.co_qualname, code)
        raise _Found


def _bad_locals(frame: FrameType) -> set[str]:
    return {name for name, value in frame.f_locals.items() if _is_bad(value)}


def _is_bad(value: object) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, np.ndarray | np.generic):
        floating = value.dtype.kind == "f" and value.size <= _MAX_ELEMENTS
        return floating and not bool(np.isfinite(value).all())
    return False
