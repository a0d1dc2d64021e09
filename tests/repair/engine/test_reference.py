"""What is known of the exact value: plain, a limit, no room, undefined."""

import numpy as np
import pytest

from stayfinite.repair.engine.gradient_exists import is_cusp
from stayfinite.repair.engine.problem import FormulaProblem
from stayfinite.repair.engine.reference import Kind, reference
from tests.repair.engine.formulas import (
    abs_,
    amax,
    cos,
    exp,
    log,
    sigmoid,
    sin,
    sqrt,
    square,
    sum_,
    tanh,
)
from tests.repair.engine.notation import call, one_leaf


def problem_of(written, **operands):
    arrays = {k: np.asarray(v, np.float32) for k, v in operands.items()}
    leaves = {k: one_leaf(k, v) for k, v in arrays.items()}
    root = written(**leaves).root
    values = {leaves[k].root: v for k, v in arrays.items()}
    return FormulaProblem(root, values, tuple(values))


def reference_of(written, **operands):
    problem = problem_of(written, **operands)
    found = reference(problem)
    seed = np.where(found.seed == 0, 1, found.seed)
    slopes = [found.gradients[leaf] / seed for leaf in problem.wanted]
    return found, slopes


@pytest.mark.parametrize(
    "written, at, value, slope",
    [
        (lambda x: sin(x) / x, 0.0, 1.0, 0.0),
        (lambda x: (1 - cos(x)) / square(x), 0.0, 0.5, 0.0),
        (lambda x: (exp(x) - 1) / x, 0.0, 1.0, 0.5),
        (lambda x: x / tanh(x), 0.0, 1.0, 0.0),
        (lambda x: (x - 1) / log(x), 1.0, 1.0, 0.5),
    ],
)
def test_a_removable_point_has_the_limit_in_value_and_gradient(written, at, value, slope):
    found, slopes = reference_of(written, x=[at, 2.0])
    assert found.kinds[0] is Kind.LIMIT
    assert found.value[0] == pytest.approx(value, rel=1e-9)
    assert slopes[0][0] == pytest.approx(slope, abs=1e-9)


def test_x_log_x_is_one_sided_and_its_gradient_at_0_counts_as_0():
    found, slopes = reference_of(lambda x: x * log(x), x=[0.0, 1.0])
    assert found.kinds[0] is Kind.LIMIT
    assert found.value[0] == pytest.approx(0.0, abs=1e-20)
    assert list(slopes[0]) == pytest.approx([0.0, 1.0])


def test_an_infinite_derivative_of_a_finite_value_counts_as_0():
    found, slopes = reference_of(lambda x: sqrt(x), x=[0.0, 4.0])
    assert found.kinds[0] is Kind.PLAIN
    assert list(found.value) == [0.0, 2.0]
    assert list(slopes[0]) == pytest.approx([0.0, 0.25])


@pytest.mark.parametrize(
    "written, at, kind",
    [
        (lambda x: log(x), -1.0, Kind.UNDEFINED),
        (lambda x: 1 / x, 0.0, Kind.UNDEFINED),  # infinite with either sign
        (lambda x: log(x), 0.0, Kind.NO_ROOM),
        (lambda x: 1 / square(x), 0.0, Kind.NO_ROOM),
        (lambda x: exp(x), 100.0, Kind.NO_ROOM),
        (lambda x: abs_(x) / x, 0.0, Kind.UNDEFINED),
    ],
)
def test_where_there_is_no_value(written, at, kind):
    found, _ = reference_of(written, x=[at, 2.0])
    assert list(found.kinds) == [kind, Kind.PLAIN]
    assert list(found.known) == [False, True]


def test_digits_are_raised_until_two_evaluations_agree():
    """1 - sigmoid(300) needs 130 digits."""
    found, slopes = reference_of(lambda x: log(1 - sigmoid(x)), x=[300.0, 1.0])
    assert found.value[0] == pytest.approx(-300.0)
    assert slopes[0][0] == pytest.approx(-1.0)


def test_the_gradient_is_taken_with_an_uneven_seed():
    """The sum of a softmax has the gradient 0, whatever a rewrite does to it."""
    found, _ = reference_of(lambda s: exp(s) / sum_(exp(s), keepdims=True), s=[[1.0, 2, 3]])
    (gradient,) = found.gradients.values()
    assert np.abs(gradient).min() > 1e-3


def test_the_branch_that_is_not_taken_does_not_count():
    def written(x):
        return call("where", x > 0, log(x), 0.0)

    found, slopes = reference_of(written, x=[-1.0, 2.0])
    assert list(found.value) == pytest.approx([0.0, np.log(2)])
    assert list(slopes[0]) == pytest.approx([0.0, 0.5])


def test_an_overlap_of_nothing_has_the_same_limit_from_everywhere():
    """An empty mask and a prediction that was rounded to 0: the quotient is 0 next to it."""
    zeros = [0.0, 0.0, 0.0]
    found, _ = reference_of(lambda p, t: sum_(p * t, -1) / sum_(p + t, -1), p=zeros, t=zeros)
    assert found.has(Kind.LIMIT)
    assert float(found.value) == 0.0


def test_a_share_of_nothing_has_no_limit():
    found, _ = reference_of(lambda a, b: a / (a + b), a=[0.0, 1.0], b=[0.0, 1.0])
    assert found.kinds[0] is Kind.UNDEFINED


def test_an_overlap_of_what_a_mask_leaves_out_has_no_limit():
    """All of it is masked: no number near 0 is a mask, so nothing says what 0 / 0 stands for."""

    def overlap(p, m):
        return sum_(p * m, -1) / sum_(p * m + m, -1)

    found, _ = reference_of(overlap, p=[[0.3, 0.6], [0.2, 0.9]], m=[[0.0, 0.0], [1.0, 0.0]])
    assert list(found.kinds) == [Kind.UNDEFINED, Kind.PLAIN]


def test_a_maximum_of_nan_has_a_gradient():
    found, _ = reference_of(lambda x: amax(x - x, axis=-1), x=[[np.inf, np.inf], [1.0, 2.0]])
    assert found.kinds[0] is Kind.UNDEFINED


@pytest.mark.parametrize(
    ("written", "operands", "expected"),
    [
        (lambda w: sqrt(abs_(w)), {"w": [0.0, 4.0]}, True),
        (lambda w: sqrt(abs_(w)), {"w": [1.0, 4.0]}, False),
        (lambda w: sqrt(w), {"w": [0.0, 4.0]}, False),
        (lambda w: w * log(w), {"w": [0.0, 4.0]}, False),
        (lambda w: w * log(abs_(w)), {"w": [0.0, 4.0]}, False),
        (lambda w: sqrt(square(w)), {"w": [0.0, 4.0]}, False),  # bounded: a corner
        (lambda w, v: sqrt(abs_(w)) + sqrt(v), {"w": [0.0, 4.0], "v": [0.0, 1.0]}, False),
        (lambda w, v: sqrt(abs_(w)) + sqrt(v), {"w": [0.0, 4.0], "v": [2.0, 1.0]}, True),
    ],
)
def test_a_cusp_has_an_infinite_gradient_of_both_signs(written, operands, expected):
    assert is_cusp(problem_of(written, **operands)) is expected
