"""Where in the user's code an op runs, and the line that the user can change for it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from stayfinite.frameworks.entries import is_entry
from stayfinite.graph.code_owner import is_user_file, library_of
from stayfinite.graph.graph import Span
from stayfinite.graph.object_sites import site_of
from stayfinite.graph.source import span_at, user_spans


@dataclass(frozen=True)
class Place:
    """User frames, innermost first, and the library objects at work, outermost first.

    `in_library_object` is true where such an object was entered after the user's last frame.
    `library` is the innermost frame of another library, called from the user's last frame if there
    is one.
    """

    stack: tuple[Span, ...]
    in_library_object: bool
    chain: tuple[Any, ...] = field(default=(), compare=False)
    library: Span | None = None


NOWHERE = Place((), False)


def place_here(boundary: CodeType, chain: tuple[Any, ...]) -> Place:
    """The place of the op that is running now, called from `boundary`."""
    inside: list[tuple[CodeType, int]] = []
    entered = False
    library: tuple[CodeType, int] | None = None
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not boundary:
        code = frame.f_code
        if is_user_file(code.co_filename):
            inside.append((code, frame.f_lasti))
        elif not inside and is_entry(code):
            entered = True
        elif not inside and library is None and library_of(code.co_filename) is not None:
            library = code, frame.f_lasti
        if frame.f_back is None:
            break
        frame = frame.f_back
    of_library = None if library is None else span_at(*library)
    return Place(user_spans(inside), entered, chain, of_library)


def user_stacklevel() -> int:
    """The `stacklevel` by which a warning of the caller names the user's innermost line.

    It is that of the caller itself where no frame is the user's, as in a thread of a library.
    """
    level, frame = 1, sys._getframe(1).f_back
    while frame is not None:
        level += 1
        if is_user_file(frame.f_code.co_filename):
            return level
        frame = frame.f_back
    return 1


def locate(
    stack: tuple[Span, ...], in_library_object: bool, chain: list[Any]
) -> tuple[Span | None, tuple[Span, ...], Any]:
    """The user's expression for an op, the call path to it, and the library object it is in.

    Args:
        stack: User frames, innermost first.
        in_library_object: Whether such an object was entered after the last of them. Then the
            line that created that object is the answer, with an empty path.
        chain: The library objects at work, outermost first.
    """
    if stack and not in_library_object:
        return stack[0], stack, None
    for called in reversed(chain):
        site = site_of(called)
        if site is not None:
            return site, (), called
    return (stack[0], stack, None) if stack else (None, (), None)
