"""The price of a formula: what the float32 emulation sees and an exact comparison does not."""

import dataclasses

import numpy as np
import pytest

from stayfinite.repair.engine.pricing import Pricing
from stayfinite.repair.engine.problem import FormulaProblem
from stayfinite.repair.engine.samples import Samples
from tests.repair.engine.formulas import KERAS, exp, expm1, log, log1p, maximum, softmax, sqrt, sum_
from tests.repair.engine.notation import call, one_leaf


# As in a search.
@np.errstate(all="ignore")
def priced(written, candidate, framework="jax", **operands):
    arrays = {k: np.asarray(v, np.float32) for k, v in operands.items()}
    leaves = {k: one_leaf(k, v) for k, v in arrays.items()}
    values = {leaves[k].root: v for k, v in arrays.items()}
    problem = FormulaProblem(written(**leaves).root, values, tuple(values), available=KERAS)
    problem = dataclasses.replace(problem, framework=framework)
    return Pricing(problem, Samples(problem)).price(candidate(**leaves).root)


def test_a_clamp_has_a_wrong_value_and_no_gradient():
    price = priced(
        lambda x: log(1 + exp(x)), lambda x: log(1 + exp(call("minimum", x, 80.0))), x=[100.0, 1]
    )
    assert price.wrong_values and price.wrong_gradients and not price.clean


def test_a_right_value_with_a_lost_gradient_is_not_clean():
    def floor(s):
        return log(maximum(softmax(s), 1e-7))

    price = priced(lambda s: log(softmax(s)), floor, s=[[15.9, 0, -0.5], [1, 2, 3]])
    assert not price.clean


def test_a_constant_gradient_sum_does_not_hide_an_error():
    """stop_gradient kills the gradient of a softmax; with a seed of ones both would be 0."""
    price = priced(
        lambda s: exp(s) / sum_(exp(s), keepdims=True),
        lambda s: call("stop_gradient", softmax(s)),
        s=[[100.0, 99, 3], [1, 2, 3]],
    )
    assert price.wrong_values == 0 and price.wrong_gradients > 0


def test_the_branch_that_is_not_taken_leaks_its_gradient():
    """Both forms of log(1 - exp(x)) are exact where they are taken."""

    def naive(x):
        return log(1 - exp(x))

    def joined(x):
        return call("where", x > -0.7, log(-expm1(x)), log1p(-exp(x)))

    def safe(x):
        small, large = call("where", x > -0.7, x, -1.0), call("where", x > -0.7, -1.0, x)
        return call("where", x > -0.7, log(-expm1(small)), log1p(-exp(large)))

    leaking = priced(naive, joined, x=[-1e-9, -40.0])
    assert leaking.wrong_values == 0 and leaking.wrong_gradients > 0
    assert priced(naive, safe, x=[-1e-9, -40.0]).clean


@pytest.mark.parametrize("framework, right", [("jax", False), ("torch", True)])
def test_the_gradient_of_a_division_is_that_of_the_framework(framework, right):
    operands = {"a": [3e22, 1e22], "b": [2e22, 2e22]}
    price = priced(lambda a, b: a / b, lambda a, b: a / b, framework, **operands)
    assert price.wrong_values == 0
    assert price.clean is right


def test_another_shape_has_no_price():
    assert priced(lambda x: sqrt(x), lambda x: x[0], x=[1.0, 2]) is None


def test_a_form_for_one_sign_regresses_on_the_probes():
    price = priced(lambda x: sqrt(x * x), lambda x: x, x=[3e20, 2.0])
    assert price.clean and price.regressions
