"""Counts by kind of fault, as Markdown, and what misses its goal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.faults.result import Result

_HEAD = (
    "fault",
    "injected",
    "no effect",
    "noticed",
    "most steps later",
    "damaged files",
    "most steps lost",
    "not gone on",
    "wrong exit",
    "other bits",
)


def markdown(found: Mapping[str, Sequence[Result]]) -> str:
    """A table with a row for each kind, and one for all.

    Args:
        found: The results of each backend. Where they differ, a cell has one entry for each.
    """
    kinds = list(dict.fromkeys(r.kind for results in found.values() for r in results))
    rows = [
        _cells([_row(kind, [r for r in results if r.kind == kind]) for results in found.values()])
        for kind in kinds
    ]
    everything = _cells([_row("all", results) for results in found.values()])
    lines = [_HEAD, ("---",) * len(_HEAD), *rows, everything]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(rows: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(
        column[0] if len(set(column)) == 1 else " / ".join(column)
        for column in zip(*rows, strict=True)
    )


def misses(results: Iterable[Result], most_lost: int) -> list[Result]:
    """The injections that miss a goal; `most_lost` is the distance between checkpoints."""
    return [
        r
        for r in results
        if (r.noticed, r.went_on, r.right_exit, r.same_bits).count(False)
        or r.num_damaged
        or (r.num_lost or 0) > most_lost
    ]


def _row(name: str, results: Sequence[Result]) -> tuple[str, ...]:
    effects = [r for r in results if r.has_effect is not None]
    harmful = [r for r in effects if r.has_effect]
    noticed = f"{sum(bool(r.noticed) for r in harmful)} of {len(harmful)}"
    false_alarms = sum(not r.has_effect and r.noticed is False for r in effects)
    if false_alarms:
        noticed += f", {false_alarms} false"
    return (
        name,
        str(len(results)),
        str(len(effects) - len(harmful)) if effects else "-",
        noticed if effects else "-",
        _most(r.num_late for r in results),
        _sum(r.num_damaged for r in results),
        _most(r.num_lost for r in results),
        _sum(_is_false(r.went_on) for r in results),
        _sum(_is_false(r.right_exit) for r in results),
        _sum(_is_false(r.same_bits) for r in results),
    )


def _is_false(value: bool | None) -> int | None:
    return None if value is None else int(not value)


def _sum(numbers: Iterable[int | None]) -> str:
    known = [number for number in numbers if number is not None]
    return str(sum(known)) if known else "-"


def _most(numbers: Iterable[int | None]) -> str:
    known = [number for number in numbers if number is not None]
    return str(max(known)) if known else "-"
