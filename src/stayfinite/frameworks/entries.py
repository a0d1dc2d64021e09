"""The frames in which an object of a library is entered while a step is traced or replayed."""

from __future__ import annotations

from types import CodeType

_ENTRIES: set[CodeType] = set()


def note_entry(code: CodeType) -> None:
    """From now on, a frame of `code` enters an object of a library."""
    _ENTRIES.add(code)


def is_entry(code: CodeType) -> bool:
    """Whether `code` is the frame that entered an object of a library."""
    return code in _ENTRIES
