"""Counts by kind of fault, as Markdown, and what misses its goal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.faults.result import Result

_HEAD = (
    "fault",
    "injected",
    "no effect",
    "noticed",
    "steps later",
    "damaged files",
    "steps lost",
    "not gone on",
    "wrong exit",
    "other bits",
)


def markdown(results: Sequence[Result]) -> str:
    """A table with a row for each kind, and one for all."""
    kinds = list(dict.fromkeys(result.kind for result in results))
    rows = [_row(kind, [r for r in results if r.kind == kind]) for kind in kinds]
    lines = [_HEAD, ("---",) * len(_HEAD), *rows, _row("all", results)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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
    return f"at most {max(known)}" if known else "-"
