"""The line that the user can change, for an op anywhere in the step."""

from __future__ import annotations

from typing import Any

from stayfinite.graph.graph import Span
from stayfinite.graph.object_sites import site_of


def locate(
    stack: tuple[Span, ...], in_library_object: bool, chain: list[Any]
) -> tuple[Span | None, tuple[Span, ...], Any]:
    """The user's expression for an op, the call path to it, and the library object it is in.

    Args:
        stack: User frames, innermost first.
        in_library_object: Whether a Keras object was entered after the last of them. Then the
            line that created that object is the answer, with an empty path.
        chain: The Keras objects at work, outermost first.
    """
    if stack and not in_library_object:
        return stack[0], stack, None
    for called in reversed(chain):
        site = site_of(called)
        if site is not None:
            return site, (), called
    return (stack[0], stack, None) if stack else (None, (), None)
