"""The origin: the op that made a harmful value, and not one that merely carried or hid it."""

from __future__ import annotations

import pytest

from stayfinite.graph.walk import roots
from tests.graph.graphs import op


def names(units, bad, sinks):
    return [unit.name for unit in roots(units, bad.__contains__, sinks)[0]]


CHAIN = [op(0, "log", (0,), 1), op(1, "multiply", (1, 2), 3), op(2, "sum", (3,), 4)]


def test_first_op_of_a_chain_is_the_root():
    assert names(CHAIN, {1, 3, 4}, [4]) == ["log"]


def test_op_on_a_bad_leaf_is_no_root():
    found, harmful = roots(CHAIN, {0, 1, 3, 4}.__contains__, [4])
    assert found == []
    assert 0 in harmful


def test_bad_value_that_a_mask_took_out_is_not_followed():
    masked = [op(0, "log", (0,), 1), op(1, "where", (5, 1, 6), 2), op(2, "exp", (2,), 3)]
    assert names(masked, {1, 3}, [3]) == ["exp"]


def test_bad_value_that_reaches_no_sink_is_harmless():
    dead_end = [op(0, "log", (0,), 1), op(1, "sum", (2,), 3)]
    assert names(dead_end, {1}, [3]) == []


def test_two_roots_are_found_in_order():
    two = [op(0, "log", (0,), 2), op(1, "divide", (0, 1), 3), op(2, "add", (2, 3), 4)]
    assert names(two, {2, 3, 4}, [4]) == ["log", "divide"]


def test_forward_root_of_a_bad_gradient_behind_a_finite_loss():
    ops = [
        op(0, "log", (0,), 1),
        op(1, "where", (7, 1, 8), 2),
        op(2, "sum", (2,), 3),
        op(3, "multiply", (1, 8), 4, phase="backward"),
    ]
    assert names(ops, {1, 4}, [3, 4]) == ["log"]


@pytest.mark.parametrize("sinks", [[], [3]])
def test_nothing_bad_has_no_roots(sinks):
    assert roots(CHAIN, lambda value: False, sinks) == ([], set())
