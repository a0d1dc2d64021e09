"""Arrays of a step are fetched together, and each once."""

from __future__ import annotations

import numpy as np
import pytest

from stayfinite.diagnose import values as store
from stayfinite.diagnose.infinities import first_nan
from stayfinite.diagnose.masking import discarded_by
from stayfinite.diagnose.values import Values
from tests.diagnose.steps import evidence_of
from tests.graph.graphs import op, trace


class Runs:
    """A `fetch` that counts its calls."""

    def __init__(self, arrays):
        self.arrays = arrays
        self.asked = []

    def __call__(self, values):
        self.asked.append(list(values))
        return {value: self.arrays[value] for value in values}


GRAPH = trace([op(0, "exp", (0,), 1), op(1, "sum", (1,), 2)], shapes={2: ()})
ARRAYS = {
    0: np.full((4, 3), 2.0, "float32"),
    1: np.array([[np.inf, 7.0, -9.0]] * 4, "float32"),
    2: np.array(np.nan, "float32"),
}


def test_arrays_are_fetched_in_one_run_and_once():
    runs = Runs(ARRAYS)
    values = Values(GRAPH, runs)
    values.load([0, 1])
    values.load([1, 0])
    assert runs.asked == [[0, 1]]
    assert values[1] is ARRAYS[1]


def test_array_that_was_not_loaded_is_no_run():
    runs = Runs(ARRAYS)
    with pytest.raises(KeyError):
        Values(GRAPH, runs)[0]
    assert runs.asked == []


def test_summaries_keep_no_array():
    runs = Runs(ARRAYS)
    values = Values(GRAPH, runs)
    values.summarise([0, 1, 2])
    assert values.summary(0) == store.Summary(is_finite=True, has_nan=False, largest=2.0)
    assert values.summary(1) == store.Summary(is_finite=False, has_nan=False, largest=9.0)
    assert values.summary(2).has_nan
    assert len(runs.asked) == 1
    values.load([0])
    assert len(runs.asked) == 2


def test_summary_of_a_loaded_array_takes_no_run():
    runs = Runs(ARRAYS)
    values = Values(GRAPH, runs)
    values.load([0])
    values.summarise([0])
    assert len(runs.asked) == 1


def test_large_arrays_are_summarised_in_several_runs(monkeypatch):
    monkeypatch.setattr(store, "_ELEMENTS_A_RUN", 13)
    runs = Runs(ARRAYS)
    Values(GRAPH, runs).summarise([0, 1, 2])
    assert runs.asked == [[0], [1, 2]]


def chain(*names):
    """A forward chain of ops on value 0; value n is the result of op n - 1."""
    return trace([op(n, name, (n,), n + 1) for n, name in enumerate(names)], loss=len(names))


def test_a_long_way_to_what_discards_a_value_takes_one_run():
    graph = chain("log", "negative", "add", "multiply", "negative", "where", "sum")
    bad, good = np.array([-np.inf, 1.0]), np.array([0.0, 1.0])
    runs = Runs({n: good if n in (0, 6, 7) else bad for n in range(8)})
    evidence = evidence_of(graph, runs, root=0, loss_finite=True)
    num_before = len(runs.asked)
    assert discarded_by(evidence, graph.ops[0]) is graph.ops[5]
    assert len(runs.asked) == num_before + 1


def test_a_long_way_to_the_first_nan_takes_two_runs():
    graph = chain("log", *["negative"] * 12, "multiply", "sum")
    arrays = {n: np.array([np.inf]) for n in range(1, 14)}
    runs = Runs({0: np.array([0.0]), 14: np.array([np.nan]), 15: np.array([np.nan]), **arrays})
    evidence = evidence_of(graph, runs, root=0)
    num_before = len(runs.asked)
    assert first_nan(evidence) is graph.ops[13]
    assert len(runs.asked) == num_before + 2
