"""Where in the user's code an op runs: read off the Python stack at that moment."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from stayfinite.frameworks.keras.calls import is_entry
from stayfinite.graph.graph import Span
from stayfinite.graph.source import is_user_file, user_spans


@dataclass(frozen=True)
class Place:
    """User frames, innermost first, and the Keras objects at work, outermost first.

    `in_library_object` is true where a Keras object was entered after the user's last frame.
    """

    stack: tuple[Span, ...]
    in_library_object: bool
    chain: tuple[Any, ...] = field(default=(), compare=False)


NOWHERE = Place((), False)


def place_here(boundary: CodeType, chain: tuple[Any, ...]) -> Place:
    """The place of the op that is running now, called from `boundary`."""
    inside: list[tuple[CodeType, int]] = []
    entered = False
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not boundary:
        code = frame.f_code
        if is_user_file(code.co_filename):
            inside.append((code, frame.f_lasti))
        elif not inside and is_entry(code):
            entered = True
        if frame.f_back is None:
            break
        frame = frame.f_back
    return Place(user_spans(inside), entered, chain)
