"""Text with roles, and the one place where a role becomes a colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from rich.color import ColorSystem
from rich.style import Style

Role = Literal["plain", "error", "title", "gutter", "help", "note", "removed", "added"]

_STYLES: dict[Role, Style] = {
    "plain": Style.null(),
    "error": Style.parse("bold red"),
    "title": Style.parse("bold"),
    "gutter": Style.parse("blue"),
    "help": Style.parse("green"),
    "note": Style.parse("cyan"),
    "removed": Style.parse("red"),
    "added": Style.parse("green"),
}


class Piece(NamedTuple):
    """A part of a line that has one role."""

    text: str
    role: Role = "plain"


Line = tuple[Piece, ...]


def paint(line: Line, *, color: bool) -> str:
    """One line as a string, without trailing blanks; escape codes only when `color`."""
    last = len(line) - 1
    pieces = [Piece(p.text.rstrip(), p.role) if i == last else p for i, p in enumerate(line)]
    if not color:
        return "".join(piece.text for piece in pieces)
    # The eight standard colours are the reader's own, so they suit a light and a dark terminal.
    return "".join(
        _STYLES[piece.role].render(piece.text, color_system=ColorSystem.STANDARD)
        for piece in pieces
    )


def wants_color(stream: Any, environ: Mapping[str, str]) -> bool:
    """Whether a report on `stream` may be coloured: only on a terminal that did not refuse.

    `NO_COLOR` (https://no-color.org) counts when it is set and not empty.
    """
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # no stream at all (pythonw), or one already closed
        return False
