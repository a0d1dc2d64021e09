"""What is special about the samples that went wrong."""

from __future__ import annotations

import linecache

import numpy as np
import pytest

from stayfinite.diagnose.provenance import EqualSides, SameInputs, ZeroOutputs, facts
from stayfinite.graph.graph import Leaf
from tests.graph.graphs import op, trace, values

ROWS = (1, 3)


@pytest.fixture
def source(monkeypatch):
    """Line 1 of `train.py` has `anchor - positive` at columns 4 to 21."""
    line = "d = anchor - positive\n"
    monkeypatch.setitem(linecache.cache, "train.py", (len(line), None, [line], "train.py"))


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def test_two_sides_of_a_difference_are_equal(source):
    left, right = random(4, 3), random(4, 3) + 1
    right[list(ROWS)] = left[list(ROWS)]
    graph = trace([op(0, "subtract", (0, 1), 2), op(1, "square", (2,), 3)], samples={0, 1, 2, 3})
    found = facts(graph, 3, ROWS, values(graph, {0: left, 1: right}))
    assert [type(fact) for fact in found] == [EqualSides]
    assert found[0].text in "d = anchor - positive"


def test_two_sides_equal_in_other_samples_are_no_fact(source):
    left = random(4, 3)
    right = left + np.array([0, 1, 0, 1], "float32")[:, None]
    graph = trace([op(0, "subtract", (0, 1), 2)], samples={0, 1, 2})
    assert facts(graph, 2, ROWS, values(graph, {0: left, 1: right})) == []


def layers(*names):
    """A chain of ops, one a layer, with a last one outside."""
    ops = [op(n, "relu", (n,), n + 1, layer=name) for n, name in enumerate(names)]
    return [*ops, op(len(names), "sum", (len(names),), len(names) + 1)]


def test_all_outputs_of_a_layer_are_zero_and_the_farthest_layer_is_named():
    hidden, out = random(4, 5), random(4, 5)
    hidden[list(ROWS)] = out[list(ROWS)] = 0
    graph = trace(layers("net/relu", "net/out"), samples={0, 1, 2, 3})
    found = facts(graph, 3, ROWS, values(graph, {1: hidden, 2: out}))
    assert found == [ZeroOutputs("net/relu", 5)]


def test_a_derivative_of_a_layer_that_is_zero_is_no_output_of_it():
    gradient = random(4, 5)
    gradient[list(ROWS)] = 0
    ops = [op(0, "matmul", (0,), 1, layer="net", phase="backward"), op(1, "sum", (1,), 2)]
    graph = trace(ops, samples={0, 1, 2, 3})
    assert facts(graph, 2, ROWS, values(graph, {1: gradient})) == []


def test_layer_that_is_zero_in_one_of_two_samples_is_no_fact():
    hidden = random(4, 5)
    hidden[1] = 0
    graph = trace(layers("net/relu"), samples={0, 1, 2})
    assert facts(graph, 2, ROWS, values(graph, {1: hidden})) == []


def test_value_without_a_batch_axis_is_not_asked():
    graph = trace(layers("net/relu"), samples=set())
    assert facts(graph, 2, ROWS, values(graph, {})) == []


def test_inputs_that_hold_the_same_samples():
    anchor, positive, negative = random(4, 3), random(4, 3) + 1, random(4, 3) + 2
    positive[list(ROWS)] = anchor[list(ROWS)]
    leaves = [Leaf(n, "input", name) for n, name in enumerate(["anchor", "positive", "negative"])]
    graph = trace([op(0, "sum", (0,), 3)], leaves)
    found = facts(graph, 3, ROWS, values(graph, {0: anchor, 1: positive, 2: negative}))
    assert found == [SameInputs(("anchor", "positive"))]
