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
