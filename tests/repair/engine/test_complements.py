"""Differences from 1 of what approaches 1, in the words of the user."""

import numpy as np
import pytest

from stayfinite.repair.engine.complement_forms import without_differences
from stayfinite.repair.engine.problem import FixValue
from stayfinite.repair.engine.search import search
from stayfinite.repair.formula import constant, node, walk
from tests.repair.engine.formulas import log, sigmoid, tanh
from tests.repair.engine.notation import one_leaf
from tests.repair.engine.test_search import problem_of

Z = one_leaf("z", np.ones(2, np.float32)).root


def test_an_epsilon_beside_it_is_kept():
    problem = problem_of(lambda z: log(1.0000000001 - sigmoid(z)), z=[60.0, 1.0, -2.0])
    best = search(problem)[0]
    assert best.value is FixValue.EXACT
    z = next(x for x in walk(best.root) if x.op == "leaf")
    below = node("sigmoid", node("negative", z))
    assert best.root is node("log", node("add", constant(1e-10), below))


def test_bounds_that_are_symmetric_keep_their_names():
    low, high = constant(1e-8, "EPS"), constant(1 - 1e-8, "1 - EPS")
    p = node("clip", node("sigmoid", Z), low, high)
    below = node("sigmoid", node("negative", Z))
    found = without_differences(node("subtract", constant(1), p))
    assert found is node("clip", below, low, high)


def test_a_bound_next_to_1_keeps_the_distance_that_its_number_has():
    """The decimal form of the double next to 1 but one is off by a tenth."""
    p = node("minimum", node("sigmoid", Z), constant(1 - 2.0**-52))
    found = without_differences(node("subtract", constant(1), p))
    assert found.operands[1].attribute("value") == 2.0**-52


@pytest.mark.parametrize("written", [lambda z: log(1 - sigmoid(z)), lambda z: log(1 - tanh(z))])
def test_values_far_beyond_the_digits_of_any_number(written):
    best = search(problem_of(written, z=[3000.0, 1.0, -2.0]))[0]
    assert best.value is FixValue.EXACT
