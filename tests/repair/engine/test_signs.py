"""What is proved of signs, and what is not."""

import numpy as np
import pytest

from stayfinite.repair.engine.signs import Signs
from tests.repair.engine.formulas import abs_, exp, log, prod, sigmoid, sqrt, square, sum_, tanh
from tests.repair.engine.notation import call, one_leaf

X, Y = one_leaf("x", np.zeros((2, 3))), one_leaf("y", np.zeros((2, 3)))


@pytest.mark.parametrize(
    "formula",
    [
        exp(X),
        square(X) + exp(Y),
        sum_(exp(X)),
        1 / (1 + exp(X)),
        sigmoid(X) * exp(Y),
        exp(X) ** Y,
        1 + abs_(X),
    ],
)
def test_positive(formula):
    assert Signs(formula.root).positive(formula.root)


@pytest.mark.parametrize(
    "formula",
    [
        square(X),
        X * X,
        1 - sigmoid(X),
        1 - prod(sigmoid(X)),
        sqrt(abs_(X)),
        1 + tanh(X),
        1 - exp(-exp(X)),
        call("ones_like", X) - sigmoid(X),
    ],
)
def test_not_negative_but_perhaps_zero(formula):
    signs = Signs(formula.root)
    assert signs.non_negative(formula.root) and not signs.positive(formula.root)


@pytest.mark.parametrize("formula", [X, X * Y, exp(X) - 1, X + square(Y), tanh(X), -exp(X), X**3])
def test_unknown(formula):
    assert not Signs(formula.root).non_negative(formula.root)


def test_the_argument_of_a_logarithm_is_in_its_domain():
    assert Signs(log(X).root).positive(X.root)
    assert Signs(sqrt(X).root).non_negative(X.root)
    assert not Signs(exp(X).root).non_negative(X.root)


def test_a_branch_of_where_says_nothing_about_its_argument():
    guarded = call("where", X > 0, log(X), 0.0)
    assert not Signs(guarded.root).non_negative(X.root)
