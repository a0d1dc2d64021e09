"""The line that the user can change, for an op anywhere in the step."""

from __future__ import annotations

from typing import Any

from stayfinite.guard.creation import site_of
from stayfinite.trace.trace import Span


def locate(
    stack: tuple[Span, ...], in_library_object: bool, chain: list[Any]
) -> tuple[Span | None, tuple[Span, ...]]:
    """The user's expression for an op, and the user's call path that leads to it.

    Args:
        stack: User frames, innermost first.
        in_library_object: Whether a Keras object was entered after the last of them. Then the
            line that created that object is the answer, with an empty path.
        chain: The Keras objects at work, outermost first.
    """
    if stack and not in_library_object:
        return stack[0], stack
    for called in reversed(chain):
        site = site_of(called)
        if site is not None:
            return site, ()
    return (stack[0], stack) if stack else (None, ())
