"""The facts of provenance as sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stayfinite.diagnose.numbers import rows_named
from stayfinite.diagnose.provenance import EqualSides, Fact, SameInputs, ZeroOutputs

_FILES_NAMED = 3


def sentences(facts: Iterable[Fact], rows: tuple[int, ...], num_rows: int | None) -> list[str]:
    """One sentence a fact, nearest to the failure first."""
    whose = _rows(rows, num_rows)
    return [_sentence(fact, whose) for fact in facts]


def files(rows: tuple[int, ...], files_of_rows: Sequence[Sequence[str]]) -> list[str]:
    """One sentence on the files that `rows` were read from; none where a row has no entry."""
    if not rows or max(rows) >= len(files_of_rows):
        return []
    first, *others = rows[:_FILES_NAMED]
    text = f"row {first} was read from {' and '.join(files_of_rows[first])}"
    text += "".join(f", row {row} from {' and '.join(files_of_rows[row])}" for row in others)
    left = len(rows) - 1 - len(others)
    return [f"{text}, and {left} more from others" if left else text]


def _sentence(fact: Fact, whose: str) -> str:
    match fact:
        case EqualSides(text):
            return f"`{text}` is 0 {whose}: its two sides are equal"
        case ZeroOutputs(layer, num_outputs):
            noun = "the output" if num_outputs == 1 else f"all {num_outputs} outputs"
            return f"{noun} of layer `{layer}` {'is' if num_outputs == 1 else 'are'} 0 {whose}"
        case SameInputs(names):
            listed = " and ".join(f"`{name}`" for name in names)
            return f"the inputs {listed} hold the same data {whose}"


def _rows(rows: tuple[int, ...], num_rows: int | None) -> str:
    if num_rows == len(rows):
        return "in the whole batch" if len(rows) > 1 else "in the only row of the batch"
    return f"in {rows_named(rows)}"
