"""Which blocks of a report stay when there are more lines than a terminal shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple

from stayfinite.report.style import Line


class Use(IntEnum):
    """How much a block is needed; the least useful go first, the essential never."""

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

    use: Use
    lines: tuple[Line, ...]


def fit(
    blocks: Sequence[Block], max_lines: int, more: Callable[[int], tuple[Line, ...]]
) -> list[Line]:
    """The lines of `blocks`, at most `max_lines` as long as the essential ones are fewer.

    Among blocks of the same use the last goes first. `more(n)` is put where the extra diff lines
    stood when `n` of them had to go: a fix must not look whole when it is not.
    """
    kept = list(enumerate(blocks))
    dropped: list[int] = []
    while True:
        lines = _assemble(kept, blocks, dropped, more)
        least = min((block.use for _, block in kept), default=Use.ESSENTIAL)
        if len(lines) <= max_lines or least is Use.ESSENTIAL:
            return lines
        last = max(i for i, (_, block) in enumerate(kept) if block.use is least)
        index, block = kept.pop(last)
        if block.use is Use.EXTRA_DIFF:
            dropped.append(index)


def _assemble(
    kept: Sequence[tuple[int, Block]],
    blocks: Sequence[Block],
    dropped: Sequence[int],
    more: Callable[[int], tuple[Line, ...]],
) -> list[Line]:
    parts = [(index, block.lines) for index, block in kept]
    if dropped:
        parts.append((min(dropped), more(len(dropped))))
    return [line for _, lines in sorted(parts, key=lambda part: part[0]) for line in lines]
