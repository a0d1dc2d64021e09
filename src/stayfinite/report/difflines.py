"""A unified diff reduced to the lines that change."""

from __future__ import annotations

import itertools
import textwrap

from rich.cells import cell_len

from stayfinite.report.cells import clean, clip, expand_tabs, head_within
from stayfinite.report.style import Line, Piece, Role

_MAX_LINES = 3
_HANGING = 6


def changed_lines(diff: str) -> list[str]:
    """The removed and added lines, without the two header lines of each file."""
    lines = diff.split("\n")
    headers: set[int] = set()
    for i, (line, following) in enumerate(itertools.pairwise(lines)):
        if line.startswith("--- ") and following.startswith("+++ "):
            headers.update((i, i + 1))
    return [
        line.rstrip()
        for i, line in enumerate(lines)
        if line.startswith(("-", "+")) and i not in headers
    ]


def diff_lines(diff: str, *, indent: int, width: int) -> list[tuple[Line, ...]]:
    """Each changed line as the terminal lines that it needs."""
    changed = [(line[0], expand_tabs(clean(line[1:]))) for line in changed_lines(diff)]
    room = width - indent - 2
    if any(cell_len(text) > room for _, text in changed):
        # What all lines have in common on the left says nothing; the change may need the room.
        dedented = textwrap.dedent("\n".join(text for _, text in changed)).split("\n")
        changed = [(sign, text) for (sign, _), text in zip(changed, dedented, strict=True)]
    return [_diff_line(sign, text, indent, width) for sign, text in changed]


def _diff_line(sign: str, text: str, indent: int, width: int) -> tuple[Line, ...]:
    """One changed line; a long one goes on below, and only a very long one is cut off."""
    role: Role = "removed" if sign == "-" else "added"
    margin = " " * (indent + _HANGING)
    parts: list[str] = []
    room = width - indent - 2
    while cell_len(text) > room and len(parts) < _MAX_LINES - 1:
        part = _breakable(head_within(text, room))
        parts.append(part)
        text, room = text[len(part) :].lstrip(), width - len(margin)
    first, *rest = [*parts, clip(text, room)]
    head = (Piece(" " * indent), Piece(f"{sign} {first}", role))
    return (head, *((Piece(margin), Piece(part, role)) for part in rest))


def _breakable(text: str) -> str:
    """`text` up to its last blank, unless that would leave less than half of it."""
    end = text.rstrip().rfind(" ") + 1
    return text[:end] if end > len(text) // 2 else text
