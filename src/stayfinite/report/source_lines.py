"""The user's source in a report: the failing line with its expression underlined, and a diff."""

from __future__ import annotations

import ast
import itertools
import textwrap
import warnings
from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len

from stayfinite.incident import Origin
from stayfinite.pages.clean import clean
from stayfinite.report.lines import (
    ELLIPSIS,
    LONGEST,
    Line,
    Piece,
    TextRole,
    clip,
    expand_tabs,
    fill,
    head_within,
)

# A changed line takes up at most so many lines; those after the first hang so far in.
_MAX_LINES = 3
_HANGING = 6

# Narrower than this a label beside its carets is harder to read than one at the margin.
_NARROWEST_LABEL = 40

# The bytes 10xxxxxx of UTF-8.
_CONTINUATION = range(0x80, 0xC0)


class Marked(NamedTuple):
    """A line of text and the marked part of it, `[start, end)` in characters."""

    text: str
    start: int
    end: int


def excerpt(
    origin: Origin, source_line: str, label: str, *, gutter: int, width: int
) -> tuple[Line, ...]:
    """The lines from the empty bar down to the carets and their label."""
    space = " " * gutter
    bar = Piece(f"{space} | ", "gutter")
    room = width - gutter - 3
    shown = window(mark(origin, source_line), room)
    before = cell_len(shown.text[: shown.start])
    carets = "^" * cell_len(shown.text[shown.start : shown.end])
    lines: list[Line] = [
        (Piece(f"{space} |", "gutter"),),
        (Piece(f"{origin.line:>{gutter}} | ", "gutter"), Piece(shown.text)),
    ]
    label = " ".join(clean(label).split())
    beside = f"{' ' * before}{carets} {label}" if carets else label
    if cell_len(beside) <= room:
        return (*lines, (bar, Piece(beside, "error"))) if beside.strip() else tuple(lines)
    if carets:
        lines.append((bar, Piece(" " * before + carets, "error")))
    margin = before if carets and room - before >= _NARROWEST_LABEL else 0
    wrapped = fill(label, room - margin, room - margin, 2)
    return (*lines, *((bar, Piece(" " * margin + text, "error")) for text in wrapped))


def character_column(line: str, byte_column: int) -> int:
    """A column of `ast`, which counts UTF-8 bytes, as a number of characters."""
    head = line.encode("utf-8", "surrogatepass")[: max(0, byte_column)]
    # Every byte that does not continue a character begins one.
    return sum(byte not in _CONTINUATION for byte in head)


def mark(origin: Origin, source_line: str) -> Marked:
    """The safe, tab-free source line with the part to underline.

    Of a call only the function is underlined: in `K.sqrt(K.sum(x))` carets under the whole would
    not show which call failed. Of an expression over several lines, the first is shown.
    """
    line = source_line.split("\n", 1)[0].rstrip()
    indent = len(line) - len(line.lstrip())
    start = end = indent
    if origin.column is not None:
        start = min(character_column(line, origin.column), len(line))
        end = len(line)
        if origin.end_column is not None and origin.end_line in (None, origin.line):
            end = min(character_column(line, origin.end_column), len(line))
        end = max(start, start + _called(line[start:end]))
    text = expand_tabs(clean(line))
    return Marked(text, len(expand_tabs(clean(line[:start]))), len(expand_tabs(clean(line[:end]))))


def _called(expression: str) -> int:
    """How many characters of `expression` name what is called; all of them when it is no call."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # a warning about the user's string, such as an invalid escape
        try:
            tree = ast.parse(expression, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return len(expression)
    if isinstance(tree, ast.Call) and tree.func.end_col_offset is not None:
        return character_column(expression, tree.func.end_col_offset)
    return len(expression)


def window(marked: Marked, room: int) -> Marked:
    """A part of the line, at most `room` cells, in which the marked part begins."""
    text, start, end = marked
    if cell_len(text) <= room:
        return marked
    indent = min(len(text) - len(text.lstrip()), start)
    text, start, end = text[indent:], start - indent, end - indent
    if cell_len(text) <= room:
        return Marked(text, start, end)
    room -= 2 * len(ELLIPSIS)
    low = _leftmost(text, start, max(0, room - cell_len(text[start:end])) // 2)
    high = low
    while high < len(text) and cell_len(text[low : high + 1]) <= room:
        high += 1
    if high == len(text):  # the line ends early: show more of its beginning
        low = _leftmost(text, low, room - cell_len(text[low:high]))
    left = ELLIPSIS if low else ""
    right = ELLIPSIS if high < len(text) else ""
    return Marked(
        left + text[low:high] + right,
        start - low + len(left),
        min(end, high) - low + len(left),
    )


def _leftmost(text: str, start: int, room: int) -> int:
    low = start
    while low and cell_len(text[low - 1 : start]) <= room:
        low -= 1
    return low


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


def diff_lines(changed: Sequence[str], *, indent: int, width: int) -> list[tuple[Line, ...]]:
    """Each of `changed_lines` as the terminal lines that it needs."""
    parts = [(line[0], expand_tabs(clean(line[1:LONGEST]))) for line in changed]
    room = width - indent - 2
    if any(cell_len(text) > room for _, text in parts):
        # The common indentation is removed, which leaves more room for the change.
        dedented = textwrap.dedent("\n".join(text for _, text in parts)).split("\n")
        parts = [(sign, text) for (sign, _), text in zip(parts, dedented, strict=True)]
    return [_diff_line(sign, text, indent, width) for sign, text in parts]


def _diff_line(sign: str, text: str, indent: int, width: int) -> tuple[Line, ...]:
    """One changed line; a long one goes on below, and only a very long one is cut off."""
    role: TextRole = "removed" if sign == "-" else "added"
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
