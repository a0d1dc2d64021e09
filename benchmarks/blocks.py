"""Timed blocks of several variants in turn, and their paired ratios.

A computer is not equally fast all the time. So the variants take turns within one process, forwards
and backwards (A B, B A, ...), and each time is divided by that of the bare training next to it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Timing:
    """One variant: the seconds of a step, and its ratio to bare in each round."""

    variant: str
    step_seconds: float
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the paired ratios."""
        return statistics.median(self.ratios)


def in_turns(blocks: dict[str, Callable[[], T]], num_rounds: int, bare: str) -> dict[str, list[T]]:
    """What each block returned, which measures itself, by variant.

    Every variant but `bare` gets a bare block of its own beside it, before it and after it by
    turns. The result has those of `bare` under `beside(name)` in the same order.
    """
    others = [name for name in blocks if name != bare]
    times: dict[str, list[T]] = {}
    for number in range(num_rounds):
        for name in others if number % 2 == 0 else reversed(others):
            pair = (bare, name) if number % 2 == 0 else (name, bare)
            for which in pair:
                key = name if which == name else beside(name)
                times.setdefault(key, []).append(blocks[which]())
    return times


def beside(variant: str) -> str:
    """The key of the bare times that were taken beside a variant's."""
    return f"bare beside {variant}"


def timings(times: dict[str, Sequence[float]], bare: str) -> list[Timing]:
    """The table's rows, from what `in_turns` gave."""
    variants = [name for name in times if beside(name) in times]
    all_bare = [seconds for name in variants for seconds in times[beside(name)]]
    rows = [Timing(bare, statistics.median(all_bare), ())]
    for name in variants:
        pairs = zip(times[name], times[beside(name)], strict=True)
        ratios = tuple(seconds / plain for seconds, plain in pairs)
        rows.append(Timing(name, statistics.median(times[name]), ratios))
    return rows
