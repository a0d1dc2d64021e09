"""Which rows are found, on a step that fails as a test says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from stayfinite.experiments import minimize_samples as minimal
from stayfinite.frameworks.change import Batch, RowsFrom, WithoutRows
from stayfinite.frameworks.step import Outcome

NUM_ROWS = 16
GOOD, BAD = Outcome(1.0, {}, ()), Outcome(float("nan"), {}, ())


class Step:
    """Its batch has the rows 0 to 15; `fails` says of a set of rows whether it is non-finite."""

    def __init__(self, fails):
        self.trace = SimpleNamespace(num_rows=NUM_ROWS)
        self._fails = fails

    def run(self, change):
        rows = set(range(NUM_ROWS)) - set(change.rows)
        if isinstance(change, RowsFrom) and change.other == "of other shape":
            raise ValueError(change.other)
        assert rows or isinstance(change, RowsFrom)
        assert isinstance(change, RowsFrom | WithoutRows)
        return BAD if self._fails(rows) else GOOD


HEALTHY = [Batch("healthy")]
WITH = {"a healthy batch": HEALTHY, "none": [], "one of other shape": [Batch("of other shape")]}


@pytest.mark.parametrize("healthy", WITH.values(), ids=WITH)
@pytest.mark.parametrize("bad", [{0}, {11}, {15}])
def test_one_row(bad, healthy):
    found, note = minimal.smallest(Step(lambda rows: rows & bad), healthy)
    assert (found.rows, found.alone, note) == (tuple(bad), None, None)


def test_several_rows_of_which_each_fails():
    found, _ = minimal.smallest(Step(lambda rows: rows & {2, 3, 12}), HEALTHY)
    assert (found.rows, found.alone) == ((2, 3, 12), 2)


def test_rows_that_fail_together_only():
    found, _ = minimal.smallest(Step(lambda rows: {2, 12} <= rows), HEALTHY)
    assert (found.rows, found.alone) == ((2, 12), None)


@pytest.mark.parametrize("healthy", [HEALTHY, []])
def test_what_fails_on_any_rows_is_not_blamed_on_some(healthy):
    assert minimal.smallest(Step(lambda rows: True), healthy) == (None, None)


def test_most_of_the_batch_is_not_a_few_rows():
    found, _ = minimal.smallest(Step(lambda rows: rows & set(range(12))), HEALTHY)
    assert found is None


def test_batch_that_is_alike_throughout_has_no_row_at_fault():
    # Without a healthy batch other rows of the same one are put in: still all alike.
    assert minimal.smallest(Step(lambda rows: rows), [])[0] is None


def test_slow_step_is_not_searched(monkeypatch):
    monkeypatch.setattr(minimal, "_LONGEST_STEP", -1.0)
    found, note = minimal.smallest(Step(lambda rows: rows & {3}), HEALTHY)
    assert found is None
    assert "rows were not looked for" in note


@pytest.mark.parametrize(
    ("fails", "expected"),
    [
        (lambda rows: 6 in rows, (6,)),
        (lambda rows: rows & {6, 9}, (6, 9)),
        (lambda rows: {6, 9} <= rows, (6, 9)),
        (lambda rows: True, (6, 9)),
    ],
    ids=["one drags the other along", "each fails", "both together", "any rows"],
)
def test_rows_that_fail_by_themselves_among_those_named(fails, expected):
    assert minimal.at_fault(Step(fails), (6, 9), HEALTHY) == expected
