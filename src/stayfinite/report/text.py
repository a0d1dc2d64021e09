"""The report as text: at most 24 lines, so that nothing scrolls away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.cells import cell_len

from stayfinite.incident import Incident, Kept
from stayfinite.report import sentences, trials
from stayfinite.report.advice import help_text, quoted
from stayfinite.report.budget import Block, Use, fit
from stayfinite.report.cells import clean_name, clip, clip_start, paragraph
from stayfinite.report.difflines import diff_lines
from stayfinite.report.excerpt import excerpt
from stayfinite.report.place import label, place
from stayfinite.report.style import Line, Piece, Role, paint
from stayfinite.report.words import plural

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
        color: whether to write escape codes; see `stayfinite.report.style.wants_color`.

    Returns:
        At most 24 lines; no line feed after the last, as whoever prints it adds one.

    Example:
        >>> print(render(incident))  # doctest: +SKIP
        error[log-of-zero]: `log` received 0
        ...
    """
    width = max(width, MIN_WIDTH)
    incident = replace(incident, kept=_as_typed(incident.kept))
    gutter = max(2, len(str(incident.origin.line or 0)))
    blocks = list(_blocks(incident, gutter, width))
    path = clean_name(incident.kept.incident)

    def more(count: int) -> tuple[Line, ...]:
        text = f"... ({plural(count, 'more line')}{', see ' if path else ''}{path})"
        return ((Piece(" " * (gutter + 1) + clip(text, width - gutter - 1)),),)

    lines = fit(blocks, MAX_LINES, more)
    return "\n".join(paint(line, color=color) for line in lines)


def _as_typed(kept: Kept) -> Kept:
    """Paths below the working directory as a user would type them there."""
    weights = None if kept.weights is None else _near(kept.weights)
    return replace(kept, weights=weights, incident=_near(kept.incident))


def _near(path: str) -> str:
    here = Path.cwd()
    found = Path(path)
    return str(found.relative_to(here)) if path and found.is_relative_to(here) else path


def _blocks(incident: Incident, gutter: int, width: int) -> Iterator[Block]:
    yield _headline(incident, width)
    arrow = (Piece(" " * gutter + "--> ", "gutter"),)
    where = place(incident, width - gutter - 4)
    yield _block(Use.ESSENTIAL, where, arrow, gutter + 4, width, max_lines=2)
    yield from _source(incident, gutter, width)
    yield from _facts(incident, gutter, width)
    text = help_text(incident, 3 * width - 80)
    yield _block(Use.ESSENTIAL, text, _word("help", "help"), 6, width, max_lines=4)
    yield from _diff(incident, gutter, width)
    for note in incident.notes:
        yield _block(Use.NOTE, note, _word("note", "note"), 6, width)
    yield _footer(incident, width)


def _block(
    use: Use, text: str, head: Line, indent: int, width: int, *, max_lines: int = 3
) -> Block:
    lines = paragraph(text, width=width, head=head, indent=indent, max_lines=max_lines)
    return Block(use, lines)


def _word(word: str, role: Role) -> Line:
    return (Piece(f"{word}:", role), Piece(" "))


def _headline(incident: Incident, width: int) -> Block:
    cause = incident.cause
    head = (
        Piece(clip(clean_name(f"error[{cause.name}]"), width // 2), "error"),
        Piece(": ", "title"),
    )
    lines = paragraph(cause.message, width=width, head=head, indent=2, max_lines=3, role="title")
    return Block(Use.ESSENTIAL, lines)


def _source(incident: Incident, gutter: int, width: int) -> Iterator[Block]:
    origin, line = incident.origin, incident.source_line
    said = label(incident)
    if origin.line is not None and line is not None and line.strip():
        lines = excerpt(origin, line, said, gutter=gutter, width=width)
        yield Block(Use.ESSENTIAL, lines)
    elif said:
        yield _fact(Use.ESSENTIAL, f"values: {said}", gutter, width, max_lines=2)


def _fact(use: Use, text: str, gutter: int, width: int, *, max_lines: int = 3) -> Block:
    head = (Piece(" " * (gutter + 1) + "= ", "gutter"),)
    return _block(use, text, head, gutter + 3, width, max_lines=max_lines)


def _facts(incident: Incident, gutter: int, width: int) -> Iterator[Block]:
    because = [
        (Use.EXTRA_BECAUSE if i else Use.BECAUSE, "because: ", text)
        for i, text in enumerate(incident.because)
    ]
    for use, name, text in (
        (Use.WHEN, "", sentences.when(incident)),
        (Use.WHEN, "", sentences.certainty(incident)),
        *because,
        (Use.SPREAD, "spread: ", sentences.spread(incident)),
        (Use.NOT_THE_CAUSE, "", trials.not_the_cause(incident)),
        (Use.ALSO_FINITE, "", trials.not_tried(incident)),
        (Use.ALSO_FINITE, "", trials.also_finite(incident)),
        (Use.WEIGHTS, "weights: ", sentences.weights(incident)),
    ):
        if text:
            yield _fact(use, name + text, gutter, width)


def _diff(incident: Incident, gutter: int, width: int) -> Iterator[Block]:
    if incident.fix is None or incident.fix.diff is None:
        return
    for i, lines in enumerate(diff_lines(incident.fix.diff, indent=gutter + 1, width=width)):
        yield Block(Use.ESSENTIAL if i < _DIFF_LINES_KEPT else Use.EXTRA_DIFF, lines)


def _footer(incident: Incident, width: int) -> Block:
    read = clean_name(f"read: stayfinite rule {quoted(incident.cause.name)}")
    if not incident.kept.incident:  # nothing could be written
        return Block(Use.ESSENTIAL, ((Piece(clip(read, width)),),))
    explain = "again: stayfinite explain"
    path = clean_name(quoted(incident.kept.incident))
    texts = [f"{read}    {explain} {path}"]
    if cell_len(texts[0]) > width:
        texts = [read, f"{explain} {path}"]
    if cell_len(texts[-1]) > width:  # the shell joins the two lines, so they can be copied
        texts = [read, f"{explain} \\", clip_start(path, width)]
    return Block(Use.ESSENTIAL, tuple((Piece(clip(text, width)),) for text in texts))
