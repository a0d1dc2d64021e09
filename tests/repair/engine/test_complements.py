"""Differences from 1 of what approaches 1, in the words of the user."""

import numpy as np
import pytest

from stayfinite.repair.engine.complement_forms import without_differences
from stayfinite.repair.engine.problem import FixValue
from stayfinite.repair.engine.search import search
from stayfinite.repair.formula import constant, node, walk
from tests.repair.engine.formulas import exp, log, sigmoid, tanh
from tests.repair.engine.notation import call, one_leaf
from tests.repair.engine.test_search import problem_of, value_of

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


@pytest.mark.parametrize(
    "written, below",
    [
        (lambda z: 0.2 + 0.8 / (1 + exp(-z)), lambda z: 0.8 * np.exp(-z)),
        (lambda z: 0.05 + 0.95 * sigmoid(z), lambda z: 0.95 * np.exp(-z)),
        (lambda z: 1 / (1 + exp(-z)), lambda z: np.exp(-z)),
    ],
    ids=["guessing", "smoothed", "share"],
)
def test_one_minus_a_mixture_that_approaches_1(written, below):
    problem = problem_of(lambda z: log(1 - written(z)), z=[60.0, 1.0, -2.0])
    best = search(problem)[0]
    assert best.value is FixValue.EXACT
    assert value_of(problem, best.root)[0] == pytest.approx(np.log(below(60.0)), rel=1e-5)


def test_the_tail_of_cauchy():
    problem = problem_of(lambda z: log(1 - (0.5 + call("arctan", z) / np.pi)), z=[6e8, 1.0, -2.0])
    best = search(problem)[0]
    assert best.value is FixValue.EXACT
    assert value_of(problem, best.root)[0] == pytest.approx(np.log(1 / (np.pi * 6e8)), rel=1e-5)
