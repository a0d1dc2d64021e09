"""The report as text: at most 24 lines, so that nothing scrolls away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from rich.cells import cell_len

from stayfinite.incident import Incident, Kept
from stayfinite.report import sentences, trial_lines
from stayfinite.report.help import help_text, quoted
from stayfinite.report.lines import (
    Line,
    Piece,
    TextRole,
    clean_name,
    clip,
    clip_start,
    paint,
    paragraph,
)
from stayfinite.report.source_lines import changed_lines, diff_lines, excerpt
from stayfinite.report.words import plural

# Also the most notes, reasons and changed lines that are laid out: each takes a line at least.
MAX_LINES = 24

# Below this the essential blocks no longer fit; a narrower terminal wraps the lines itself.
MIN_WIDTH = 40

# So many diff lines are always shown: the first change, before and after.
_DIFF_LINES_KEPT = 2


def render(incident: Incident, *, width: int = 100, color: bool = False) -> str:
    """The report of one bad step.

    Args:
        incident: the explained step.
        width: columns of the terminal, at least 40; every line is at most so many cells wide.
        color: whether to write escape codes; see `stayfinite.report.lines.wants_color`.

    Returns:
        At most 24 lines; no line feed after the last, as whoever prints it adds one.

    Example:
        >>> print(render(incident))  # doctest: +SKIP
        error[log-of-zero]: `log` received 0
        ...
    """
    width = max(width, MIN_WIDTH)
    incident = replace(incident, kept=as_typed(incident.kept))
    gutter = max(2, len(str(incident.origin.line or 0)))
    changed = changed_lines(incident.fix.diff) if incident.fix and incident.fix.diff else []
    hidden = max(0, len(changed) - MAX_LINES)
    blocks = list(_blocks(incident, changed[:MAX_LINES], gutter, width))
    path = clean_name(incident.kept.incident)

    def more(count: int) -> Line:
        text = f"... ({plural(hidden + count, 'more line')}{', see ' if path else ''}{path})"
        return (Piece(" " * (gutter + 1) + clip(text, width - gutter - 1)),)

    lines = fit(blocks, MAX_LINES, more)
    return "\n".join(paint(line, color=color) for line in lines)


def as_typed(kept: Kept) -> Kept:
    """Paths below the working directory as a user would type them there."""
    weights = None if kept.weights is None else near(kept.weights)
    return replace(kept, weights=weights, incident=near(kept.incident))


def near(path: str) -> str:
    """A path below the working directory as a user would type it there."""
    try:
        here = Path.cwd()
    except FileNotFoundError:  # deleted while the program ran
        return path
    found = Path(path)
    return str(found.relative_to(here)) if path and found.is_relative_to(here) else path


def _blocks(incident: Incident, changed: Sequence[str], gutter: int, width: int) -> Iterator[Block]:
    yield _headline(incident, width)
    if incident.elsewhere:
        return
    if incident.recurrence is not None and incident.recurrence.kind == "other-process":
        # The report of that process has the rest, in the same terminal.
        for text in (sentences.when(incident), f"weights: {sentences.weights(incident)}"):
            yield _fact(Priority.ESSENTIAL, text, gutter, width)
        yield _help(incident, width)
        return
    arrow = (Piece(" " * gutter + "--> ", "gutter"),)
    where = sentences.place(incident, width - gutter - 4)
    yield _block(Priority.ESSENTIAL, where, arrow, gutter + 4, width, max_lines=2)
    yield from _source(incident, gutter, width)
    yield from _facts(incident, gutter, width)
    yield _help(incident, width)
    for i, diff in enumerate(diff_lines(changed, indent=gutter + 1, width=width)):
        yield Block(Priority.ESSENTIAL if i < _DIFF_LINES_KEPT else Priority.EXTRA_DIFF, diff)
    for note in incident.notes[:MAX_LINES]:
        yield _block(Priority.NOTE, note, _word("note", "note"), 6, width)
    yield _footer(incident, width)


def _block(
    priority: Priority, text: str, head: Line, indent: int, width: int, *, max_lines: int = 3
) -> Block:
    lines = paragraph(text, width=width, head=head, indent=indent, max_lines=max_lines)
    return Block(priority, lines)


def _help(incident: Incident, width: int) -> Block:
    text = help_text(incident, 3 * width - 80)
    return _block(Priority.ESSENTIAL, text, _word("help", "help"), 6, width, max_lines=4)


def _word(word: str, role: TextRole) -> Line:
    return (Piece(f"{word}:", role), Piece(" "))


def _headline(incident: Incident, width: int) -> Block:
    cause = incident.cause
    head = (
        Piece(clip(clean_name(f"error[{cause.name}]"), width - 4), "error"),
        Piece(": ", "title"),
    )
    said = incident.elsewhere or cause.message
    lines = paragraph(said, width=width, head=head, indent=2, max_lines=4, role="title")
    return Block(Priority.ESSENTIAL, lines)


def _source(incident: Incident, gutter: int, width: int) -> Iterator[Block]:
    origin, line = incident.origin, incident.source_line
    said = sentences.label(incident)
    if origin.line is not None and line is not None and line.strip():
        lines = excerpt(origin, line, said, gutter=gutter, width=width)
        yield Block(Priority.ESSENTIAL, lines)
    elif said:
        yield _fact(Priority.ESSENTIAL, f"values: {said}", gutter, width, max_lines=2)


def _fact(priority: Priority, text: str, gutter: int, width: int, *, max_lines: int = 3) -> Block:
    head = (Piece(" " * (gutter + 1) + "= ", "gutter"),)
    return _block(priority, text, head, gutter + 3, width, max_lines=max_lines)


def _facts(incident: Incident, gutter: int, width: int) -> Iterator[Block]:
    because = [
        (Priority.EXTRA_BECAUSE if i else Priority.BECAUSE, "because: ", text)
        for i, text in enumerate(incident.because[:MAX_LINES])
    ]
    for priority, name, text in (
        (Priority.WHEN, "", sentences.when(incident)),
        (Priority.WHEN, "", sentences.certainty(incident)),
        (Priority.WHEN, "", sentences.made_again(incident)),
        *because,
        (Priority.SPREAD, "spread: ", sentences.spread(incident)),
        (Priority.NOT_THE_CAUSE, "", trial_lines.not_the_cause(incident)),
        (Priority.NOT_THE_CAUSE, "", trial_lines.partly_finite(incident)),
        (Priority.ALSO_FINITE, "", trial_lines.not_tried(incident)),
        (Priority.ALSO_FINITE, "", trial_lines.also_finite(incident)),
        (Priority.WEIGHTS, "weights: ", sentences.weights(incident)),
    ):
        if text:
            yield _fact(priority, name + text, gutter, width)


def _footer(incident: Incident, width: int) -> Block:
    read = clean_name(f"read: stayfinite rule {quoted(incident.cause.name)}")
    if not incident.kept.incident:  # nothing could be written
        return Block(Priority.ESSENTIAL, ((Piece(clip(read, width)),),))
    explain = "again: stayfinite explain"
    path = clean_name(quoted(incident.kept.incident))
    texts = [f"{read}    {explain} {path}"]
    if cell_len(texts[0]) > width:
        texts = [read, f"{explain} {path}"]
    if cell_len(texts[-1]) > width:  # the shell joins the two lines, so they can be copied
        texts = [read, f"{explain} \\", clip_start(path, width)]
    return Block(Priority.ESSENTIAL, tuple((Piece(clip(text, width)),) for text in texts))


class Priority(IntEnum):
    """How much a block is needed: the lowest go first, the essential never."""

    NOTE = 1
    EXTRA_BECAUSE = 2
    EXTRA_DIFF = 3
    ALSO_FINITE = 4
    SPREAD = 5
    NOT_THE_CAUSE = 6
    BECAUSE = 7
    WEIGHTS = 8
    WHEN = 9
    ESSENTIAL = 10


class Block(NamedTuple):
    """Lines that are shown together or not at all."""

    priority: Priority
    lines: tuple[Line, ...]


def fit(blocks: Sequence[Block], max_lines: int, more: Callable[[int], Line]) -> list[Line]:
    """The lines of `blocks`, at most `max_lines` as long as the essential ones are fewer.

    Among blocks of one priority the last goes first. `more(n)` is put where the extra diff lines
    stood when `n` of them had to go: a fix must not look whole when it is not.
    """
    order = sorted(
        (i for i, block in enumerate(blocks) if block.priority is not Priority.ESSENTIAL),
        key=lambda i: (blocks[i].priority, -i),
    )
    kept = {i: block.lines for i, block in enumerate(blocks)}
    num_lines = sum(map(len, kept.values()))
    dropped: list[int] = []
    for index in order:
        if num_lines + (1 if dropped else 0) <= max_lines:
            break
        num_lines -= len(kept.pop(index))
        if blocks[index].priority is Priority.EXTRA_DIFF:
            dropped.append(index)
    if dropped:
        kept[min(dropped)] = (more(len(dropped)),)
    return [line for _, lines in sorted(kept.items()) for line in lines]
