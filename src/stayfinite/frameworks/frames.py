"""The user's frames that are running, and the values of names in them."""

from __future__ import annotations

import contextlib
import ctypes
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FrameType

from stayfinite.graph.code_owner import is_user_file

_IS_USER: dict[str, bool] = {}


def is_user_code(code: CodeType) -> bool:
    """Whether code is the user's, and not of a library."""
    name = code.co_filename
    is_user = _IS_USER.get(name)
    if is_user is None:
        is_user = is_user_file(name)
        # Whether a name such as `<string>` is of the user can change.
        if not name.startswith("<"):
            _IS_USER[name] = is_user
    return is_user


def user_frames(innermost: FrameType | None) -> Iterator[FrameType]:
    """The user's frames from `innermost` on, outwards."""
    frame = innermost
    while frame is not None:
        if is_user_code(frame.f_code):
            yield frame
        frame = frame.f_back


def values_of(frame: FrameType, names: Iterable[str]) -> dict[str, object]:
    """The values that `frame` has for `names`, without those that it has not bound."""
    return _read(frame, names) if names else {}


def all_values_of(frame: FrameType) -> dict[str, object]:
    """The values of every variable of `frame`, in a module its globals."""
    return _read(frame, None)


def bind(frame: FrameType, values: Mapping[str, object]) -> None:
    """Give variables of a running frame other values."""
    if not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        frame.f_globals.update(values)
        return
    held = frame.f_locals
    held.update(values)
    if sys.version_info < (3, 13):
        # Before, what `f_locals` gives is a copy, which a debugger writes back by this function.
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
        held.clear()


@contextlib.contextmanager
def kept_names(names: dict[str, object]) -> Iterator[None]:
    """The globals of a module are as they were after the block."""
    before = dict(names)
    try:
        yield
    finally:
        for name in [name for name in names if name not in before]:
            del names[name]
        names.update(before)


def _read(frame: FrameType, names: Iterable[str] | None) -> dict[str, object]:
    held = frame.f_locals
    found = dict(held) if names is None else {n: held[n] for n in names if n in held}
    # Before Python 3.13 the frame keeps a dict of every local, which would hold tensors of this
    # step until the next. A debugger writes that dict back to the frame, so it is left to it.
    is_function = frame.f_code.co_flags & inspect.CO_OPTIMIZED
    if is_function and isinstance(held, dict) and sys.gettrace() is None:
        held.clear()
    return found
