"""Numbers that a value can only have by rounding."""

import numpy as np

from stayfinite.experiments.rounding import approached, may_be_rounded_to_zero
from tests.graph.graphs import op, trace

ONE = np.asarray(1.0, np.float32)


def test_one_minus_a_hand_written_sigmoid_is_0_by_rounding_only():
    graph = trace(
        [
            op(0, "negative", (0,), 2),
            op(1, "exp", (2,), 3),
            op(2, "add", (1, 3), 4),
            op(3, "divide", (1, 4), 5),
            op(4, "subtract", (1, 5), 6),
        ],
        constants={1: ONE},
    )
    assert 1.0 in approached(graph, 4)
    assert 1.0 in approached(graph, 5)
    assert 0.0 in approached(graph, 6)


def test_a_difference_of_data_may_be_exactly_0():
    graph = trace([op(0, "subtract", (1, 0), 2)], constants={1: ONE})
    assert approached(graph, 2) == ()


def test_a_matrix_product_of_exponentials_may_be_0_by_rounding():
    graph = trace([op(0, "exp", (0,), 1), op(1, "matmul", (1, 2), 3)])
    assert may_be_rounded_to_zero(graph, 3)
    assert approached(graph, 3) == ()


def test_an_element_that_is_picked_of_a_difference_of_sigmoids_is_0_by_rounding():
    graph = trace(
        [
            op(0, "sigmoid", (0,), 2),
            op(1, "concatenate", (2, 1), 3),
            op(2, "subtract", (3, 2), 4),
            op(3, "gather", (4, 5), 6),
        ],
        constants={1: ONE},
    )
    assert 0.0 in approached(graph, 6)


def test_what_is_joined_with_a_constant_is_no_constant():
    graph = trace(
        [
            op(0, "concatenate", (1, 0), 2),
            op(1, "tanh", (3,), 4),
            op(2, "subtract", (2, 4), 5),
        ],
        constants={1: ONE},
    )
    assert approached(graph, 5) == (2.0, 0.0)


def test_a_0_that_a_mask_puts_in_the_place_of_an_exponential_is_exact():
    ops = [op(0, "exp", (0,), 1), op(1, "where", (3, 1, 2), 4)]
    masked = trace([*ops, op(2, "where", (3, 2, 2), 5)], constants={2: np.zeros((), np.float32)})
    assert approached(masked, 5) == ()
    kept = trace(ops, constants={2: ONE})
    assert approached(kept, 4) == (0.0,)
