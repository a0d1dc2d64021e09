"""What a formula asks of the failing step: the arrays that an expression of the user's made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stayfinite.graph.graph import Span
from stayfinite.repair.formula import LeafRole


@dataclass(frozen=True)
class ExpressionSpan:
    """An expression by its position in `file`; `starts` are all positions it may have there."""

    file: str
    starts: tuple[tuple[int, int], ...]
    end: tuple[int, int]

    def matches(self, span: Span) -> bool:
        """Whether a recorded span means this expression."""
        return (
            (span.end_line, span.end_column) == self.end
            and (span.line, span.column) in self.starts
            and span.file == self.file
        )


@dataclass(frozen=True)
class RecordedArray:
    """One recorded array: what is known of it without fetching it.

    `is_held` is true of a weight or other state, false of what the step computes.
    """

    value: int
    shape: tuple[int, ...]
    dtype: str
    role: LeafRole
    batch_axis: int | None = None
    is_held: bool = False


@dataclass(frozen=True)
class RecordedCall:
    """One evaluation of an expression: what flowed in, and what came out.

    `is_ordered` is true if the inputs are known to be in the order of the operands.
    """

    inputs: tuple[RecordedArray, ...]
    result: RecordedArray | None
    is_ordered: bool = False


class Recorded(Protocol):
    """The interface between the source and the step."""

    def evaluation(self, stack: Sequence[ExpressionSpan]) -> RecordedCall | None:
        """The next evaluation of an expression under these callers, innermost first."""
        ...

    def touches(self, file: str, first_line: int, last_line: int) -> bool:
        """Whether anything was computed in these lines."""
        ...

    def leaf(self, name: str) -> RecordedArray | None:
        """The array of the batch that has this name."""
        ...

    def has_constant(self, array: np.ndarray) -> bool:
        """Whether the step takes an array of these elements as given, whatever its batch."""
        ...

    def arrays(self, values: Iterable[int]) -> dict[int, np.ndarray]:
        """The arrays themselves."""
        ...

    def fresh(self) -> Recorded:
        """The same, from its first evaluation."""
        ...


class NothingRecorded:
    """For a function whose arguments are known, so that nothing has to be looked up."""

    def evaluation(self, stack: Sequence[ExpressionSpan]) -> RecordedCall | None:
        """Nothing."""
        return None

    def touches(self, file: str, first_line: int, last_line: int) -> bool:
        """Nothing."""
        return False

    def leaf(self, name: str) -> RecordedArray | None:
        """Nothing."""
        return None

    def has_constant(self, array: np.ndarray) -> bool:
        """Whatever is known is given."""
        return True

    def arrays(self, values: Iterable[int]) -> dict[int, np.ndarray]:
        """Nothing."""
        return {}

    def fresh(self) -> NothingRecorded:
        """The same."""
        return self
