"""The fewest rows of the batch that make the step fail, by bisection.

Rows are replaced, not left out, so that shapes and the rows around them stay: a normalisation over
the batch couples all of them. In their place come the same rows of a healthy batch, or other rows
of the batch itself where there is none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from stayfinite.experiments.rollout import is_good
from stayfinite.frameworks.change import Batch, Change, RowsFrom, WithoutRows
from stayfinite.frameworks.step import Step

# A report is not to be waited for.
_SECONDS = 4.0
_LONGEST_STEP = 1.0
# More rows than these are not a few that are at fault.
_MOST = 8


@dataclass(frozen=True)
class Smallest:
    """`rows` fail, whatever the others are; without them the step is finite.

    `alone` is one of them that fails by itself, where they are several and one does.
    """

    rows: tuple[int, ...]
    alone: int | None
    num_runs: int


class _TooLongError(Exception):
    """The time is over."""


def smallest(step: Step, healthy: Sequence[Batch]) -> tuple[Smallest | None, str | None]:
    """The fewest rows that fail, if a few do and this can be shown in time; and a note if not.

    Args:
        step: The failing step.
        healthy: Batches before it, newest first.
    """
    num_rows = step.trace.num_rows
    if num_rows is None or num_rows < 2:
        return None, None
    search = _Search(step, num_rows, healthy)
    try:
        return search.run(), None
    except _TooLongError:
        if search.num_runs == 1:
            return None, "rows were not looked for: this step takes over a second"
        return None, None
    except Exception:
        # A courtesy: whatever the user's step raises on other rows must not hide the report.
        return None, None


def at_fault(step: Step, rows: tuple[int, ...], healthy: Sequence[Batch]) -> tuple[int, ...]:
    """Those of `rows` that fail by themselves; all of them where that cannot be told.

    A row that is compared with a bad one, as in a matrix of similarities, is non-finite as well,
    and innocent.
    """
    num_rows = step.trace.num_rows
    if num_rows is None or not 1 < len(rows) <= _MOST:
        return rows
    try:
        return _Search(step, num_rows, healthy).alone_among(rows)
    except Exception:
        # As above, and where the time is over.
        return rows


class _Search:
    def __init__(self, step: Step, num_rows: int, healthy: Sequence[Batch]) -> None:
        self.num_runs = 0
        self._step = step
        self._all = tuple(range(num_rows))
        self._until = time.monotonic() + _SECONDS
        self._healthy = healthy
        self._other: Batch | None = None

    def run(self) -> Smallest | None:
        self._other = self._filler(self._healthy)
        # Without a healthy batch nothing good is known to put in the place of both halves.
        rows = _fewest(self._all, self._good_without, self._other is not None)
        if not self._is_few(rows):
            return None
        if self._is_enough(rows):
            alone = None
            if len(rows) > 1:
                alone = next((row for row in rows if not self._good_with(row, rows)), None)
            return Smallest(rows, alone, self.num_runs)
        if self._other is None:
            return None
        # One of them less is good already, so it takes several to fail.
        together = _fewest(self._all, self._fails_with, True)
        if not self._is_few(together) or not self._good_without(together):
            return None
        return Smallest(together, None, self.num_runs)

    def alone_among(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """See `at_fault`."""
        self._other = self._filler(self._healthy)
        alone = tuple(row for row in rows if not self._good_with(row, rows))
        return alone if alone and self._good_without(alone) else rows

    def _is_few(self, rows: tuple[int, ...] | None) -> TypeGuard[tuple[int, ...]]:
        return rows is not None and len(rows) <= min(_MOST, len(self._all) // 2)

    def _filler(self, healthy: Sequence[Batch]) -> Batch | None:
        """A healthy batch, of the same shapes, that is finite on the state of now as well."""
        for batch in healthy[:2]:
            try:
                if self._good(RowsFrom(self._all, batch.data)):
                    return batch
            except ValueError:
                continue
        return None

    def _fails_with(self, rows: tuple[int, ...]) -> bool:
        """Whether these rows fail among healthy ones."""
        return not self._good_without(tuple(row for row in self._all if row not in rows))

    def _is_enough(self, rows: tuple[int, ...]) -> bool:
        """Whether the rows fail among others that are good, and these do not."""
        others = tuple(row for row in self._all if row not in rows)
        if self._good_without(others):
            return False
        if self._other is not None:
            return True
        # Copies of one row may fail by being alike.
        return self._good(WithoutRows(tuple(row for row in self._all if row != others[0])))

    def _good_with(self, row: int, rows: tuple[int, ...]) -> bool:
        return self._good_without(tuple(other for other in rows if other != row))

    def _good_without(self, rows: tuple[int, ...]) -> bool:
        if self._other is not None:
            return self._good(RowsFrom(rows, self._other.data))
        return len(rows) < len(self._all) and self._good(WithoutRows(rows))

    def _good(self, change: Change) -> bool:
        if time.monotonic() > self._until:
            raise _TooLongError
        began = time.monotonic()
        good = is_good(self._step.run(change))
        self.num_runs += 1
        if self.num_runs == 1 and time.monotonic() - began > _LONGEST_STEP:
            raise _TooLongError
        return good


def _fewest(
    rows: tuple[int, ...],
    holds: Callable[[tuple[int, ...]], bool],
    of_both: bool,
    given: tuple[int, ...] = (),
) -> tuple[int, ...] | None:
    """The fewest of `rows` of which, beside `given`, something holds as it does of all of them.

    Args:
        rows: Where to look.
        holds: Asked of sets of rows; of more rows it holds as well.
        of_both: Whether rows of both halves are looked for where neither half has all of them.
        given: Rows that are part of every set.
    """
    if len(rows) == 1:
        return rows
    half = len(rows) // 2
    first, second = rows[:half], rows[half:]
    if holds((*given, *first)):
        return _fewest(first, holds, of_both, given)
    if holds((*given, *second)):
        return _fewest(second, holds, of_both, given)
    if not of_both:
        return None
    of_first = _fewest(first, holds, of_both, (*given, *second))
    if of_first is None or len(of_first) > _MOST:
        return None
    of_second = _fewest(second, holds, of_both, (*given, *of_first))
    return None if of_second is None else (*of_first, *of_second)
