"""From an op of the backward pass to the forward op that it differentiates."""

from __future__ import annotations

from stayfinite.graph.walk import primal_of
from tests.graph.graphs import op, trace


def test_derivative_in_terms_of_the_result():
    forward = op(0, "sqrt", (0,), 1, line=7)
    backward = op(1, "divide", (2, 1), 3, phase="backward", line=7)
    assert primal_of(trace([forward, backward]), backward) is forward


def test_derivative_in_terms_of_the_operand():
    forward = op(0, "log", (0,), 1, line=7)
    backward = op(1, "divide", (2, 0), 3, phase="backward", line=7)
    assert primal_of(trace([forward, backward]), backward) is forward


def test_walks_through_backward_ops_of_the_same_expression():
    forward = op(0, "sqrt", (0,), 1, line=7)
    twice = op(1, "multiply", (1, 9), 2, phase="backward", line=7)
    last = op(2, "divide", (3, 2), 4, phase="backward", line=7)
    assert primal_of(trace([forward, twice, last]), last) is forward


def test_op_of_another_expression_is_not_it():
    other = op(0, "log", (0,), 1, line=3)
    forward = op(1, "sqrt", (0,), 2, line=7)
    backward = op(2, "divide", (5, 0), 3, phase="backward", line=7)
    assert primal_of(trace([other, forward, backward]), backward) is forward


def test_op_that_only_moves_numbers_is_not_it():
    moved = op(0, "reshape", (0,), 1, line=7)
    backward = op(1, "divide", (5, 1), 2, phase="backward", line=7)
    assert primal_of(trace([moved, backward]), backward) is None


def test_constants_lead_nowhere():
    forward = op(0, "power", (0, 4), 1, line=7)
    backward = op(1, "multiply", (5, 4), 2, phase="backward", line=7)
    graph = trace([forward, backward], constants={4: 0.5})
    assert primal_of(graph, backward) is None


def test_a_derivative_of_a_value_that_is_made_again_leads_to_the_forward_op():
    # As under `jax.checkpoint`; the derivative of a power is a power, which makes nothing again.
    ops = [
        op(0, "exp", (0,), 1, line=6),
        op(1, "power", (1, 9), 2, line=7),
        op(2, "exp", (0,), 3, phase="backward", line=6),
        op(3, "power", (3, 10), 4, phase="backward", line=7),
        op(4, "power", (3, 11), 5, phase="backward", line=7),
    ]
    graph = trace(ops, constants={9: 0.5, 10: 0.5, 11: -0.5})
    assert primal_of(graph, ops[4]) is ops[1]
    assert primal_of(trace(ops, constants={9: 0.5, 10: 0.7, 11: -0.5}), ops[4]) is None
