"""Lines of a report: their colours, and cutting and wrapping by terminal cells.

One character may be 0, 1 or 2 cells wide.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style

from stayfinite.pages.clean import clean

TextRole = Literal["plain", "error", "title", "gutter", "help", "note", "removed", "added"]

_STYLES: dict[TextRole, Style] = {
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
    role: TextRole = "plain"


Line = tuple[Piece, ...]


def paint(line: Line, *, color: bool) -> str:
    """One line as a string, without trailing blanks; escape codes only when `color`."""
    last = next((i for i in reversed(range(len(line))) if line[i].text.strip()), 0)
    line = line[: last + 1]
    pieces = [Piece(p.text.rstrip(), p.role) if i == last else p for i, p in enumerate(line)]
    if not color:
        return "".join(piece.text for piece in pieces)
    # The terminal defines the eight standard colours, so they suit a light and a dark background.
    return "".join(
        _STYLES[piece.role].render(piece.text, color_system=ColorSystem.STANDARD)
        for piece in pieces
    )


def wants_color(stream: Any, environ: Mapping[str, str]) -> bool:
    """Whether a report on `stream` may be coloured: on a terminal, if the environment allows it.

    `NO_COLOR` (https://no-color.org) counts when it is set and not empty.
    """
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # no stream at all (pythonw), or one already closed
        return False


ELLIPSIS = "..."
_TAB = 4

# Characters; a longer sentence or line does not fit a report, and cutting it early keeps wrapping
# fast.
LONGEST = 4000


def clean_name(text: str) -> str:
    """As `clean`, for a path or a name, which stays on one line."""
    return clean(text).replace("\t", "?").replace("\n", "?")


def expand_tabs(text: str) -> str:
    """Tabs as blanks up to the next stop, counted in cells (`str.expandtabs` counts characters)."""
    head, *rest = text.split("\t")
    for part in rest:
        head += " " * (_TAB - cell_len(head) % _TAB) + part
    return head


def head_within(text: str, width: int) -> str:
    """The longest beginning of `text` that is at most `width` cells."""
    end = min(len(text), 2 * width + 8)  # zero-width characters are rare: this is room enough
    return text[: bisect_right(range(1, end + 1), width, key=lambda n: cell_len(text[:n]))]


def clip(text: str, width: int) -> str:
    """`text` cut at its end to at most `width` cells, with dots when it was cut."""
    if cell_len(text) <= width:
        return text
    return head_within(text, width - len(ELLIPSIS)) + ELLIPSIS


def clip_start(text: str, width: int) -> str:
    """`text` cut at its beginning: the end of a path is the more useful part."""
    if cell_len(text) <= width:
        return text
    start = max(0, len(text) - width)
    while cell_len(text[start:]) > width - len(ELLIPSIS):
        start += 1
    return ELLIPSIS + text[start:]


def chunks(text: str, width: int) -> list[str]:
    """`text` cut into pieces of at most `width` cells, nothing lost. `width` is at least 2."""
    parts = []
    while cell_len(text) > width:
        # At least one character is taken, so that the loop ends.
        part = head_within(text, width) or text[0]
        parts.append(part)
        text = text[len(part) :]
    return [*parts, text]


def fill(text: str, first_width: int, width: int, max_lines: int) -> list[str]:
    """`text` broken at blanks into at most `max_lines`; the first line has a width of its own."""
    lines = [""]
    for word in clean(text[:LONGEST]).split():
        room = first_width if len(lines) == 1 else width
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(joined) <= room:
            lines[-1] = joined
        elif cell_len(word) <= width and (lines[-1] or room < width):
            lines.append(word)
        else:  # a word wider than a line: cut it where the line ends
            start = f"{lines[-1]} " if lines[-1] else ""
            part = head_within(word, max(0, room - cell_len(start)))
            lines[-1] = start.rstrip() if not part else start + part
            lines.extend(chunks(word[len(part) :], width))
    if len(lines) > max_lines:
        cut = first_width if max_lines == 1 else width
        lines[max_lines - 1] = head_within(lines[max_lines - 1], cut - len(ELLIPSIS)) + ELLIPSIS
    return lines[:max_lines]


def paragraph(
    text: str, *, width: int, head: Line, indent: int, max_lines: int, role: TextRole = "plain"
) -> tuple[Line, ...]:
    """`text` after `head`, wrapped; the lines after the first hang at `indent`."""
    head_width = sum(cell_len(piece.text) for piece in head)
    first, *rest = fill(text, width - head_width, width - indent, max_lines)
    return ((*head, Piece(first, role)), *(((Piece(" " * indent + r, role)),) for r in rest))
