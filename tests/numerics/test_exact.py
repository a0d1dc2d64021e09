"""Each function of the table: value and derivative, exact and in floating point."""

import numpy as np
import pytest
from mpmath import mp, mpf

from stayfinite.numerics.exact import INF, RULES, Exact, Floating, Rules, decimal
from stayfinite.numerics.exact_functions import FUNCTIONS

POINTS = {"arccosh": 1.7, "erfinv": 0.3}
STEPS = {"sign", "floor", "ceil", "round", "floor_divide", "stop_gradient"}


def operands(name):
    start = POINTS.get(name, 0.45)
    return [start + 0.3 * i for i in range(len(FUNCTIONS[name].derivatives))]


def exact(values):
    return [np.array([mpf(v)], object) for v in values]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_floating_point_has_the_exact_value(name):
    x = operands(name)
    with mp.workdps(40):
        want = float(FUNCTIONS[name].value(Exact(), *exact(x))[0])
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        arrays = [np.array([v], dtype) for v in x]
        found = FUNCTIONS[name].value(Floating(Rules()), *arrays)
        assert found == pytest.approx(want, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - STEPS))
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
def test_the_derivative_is_that_of_the_value(name, rules):
    x = operands(name)
    for i, derivative in enumerate(FUNCTIONS[name].derivatives):
        with mp.workdps(40):
            m, step = Exact(), mpf(10) ** -15
            above, below = exact(x), exact(x)
            above[i], below[i] = above[i] + step, below[i] - step
            rise = FUNCTIONS[name].value(m, *above) - FUNCTIONS[name].value(m, *below)
            slope = float((rise / (2 * step))[0])
            value = FUNCTIONS[name].value(m, *exact(x))
            assert float(np.ravel(derivative(m, *exact(x), value))[0]) == pytest.approx(slope)
        floating, arrays = Floating(rules), [np.array([v]) for v in x]
        value = FUNCTIONS[name].value(floating, *arrays)
        assert derivative(floating, *arrays, value) == pytest.approx(slope)


def test_exponents_have_no_limit_in_exact_arithmetic():
    m = Exact()
    with mp.workdps(30):
        big = m.call("exp", np.array([mpf(5000)], object))
        assert float((big / (big + 1))[0]) == 1.0
        assert m.call("divide", big, big * 0)[0] == INF


def test_a_value_outside_the_domain_is_nan():
    m = Exact()
    for name in ("log", "sqrt", "arccosh"):
        assert mp.isnan(m.call(name, np.array([mpf(-2)], object))[0])
    zero = np.array([mpf(0)], object)
    assert mp.isnan(m.call("divide", zero, zero)[0])


def test_an_adjoint_of_zero_meets_an_infinite_derivative():
    """It wins in exact arithmetic; a device computes NaN."""
    zero, infinite = np.array([mpf(0)], object), np.array([INF], object)
    assert Exact().chain(zero, infinite)[0] == 0
    with np.errstate(invalid="ignore"):
        assert np.isnan(Floating(Rules()).chain(np.float32([0]), np.float32([np.inf]))).all()


def test_the_division_of_jax_loses_the_gradient_of_a_large_divisor():
    x, y = np.float32([3e22]), np.float32([2e22])
    derivative = FUNCTIONS["divide"].derivatives[1]
    with np.errstate(all="ignore"):
        assert derivative(Floating(Rules(squares_divisor=True)), x, y, x / y) == 0
        assert derivative(Floating(Rules()), x, y, x / y) == pytest.approx(-7.5e-23, rel=1e-4)


def test_a_power_that_may_have_any_limit_has_no_exact_value():
    """Floating-point arithmetic has 1 for both."""
    m = Exact()
    one, zero = np.array([mpf(1)], object), np.array([mpf(0)], object)
    infinite = np.array([INF], object)
    assert mp.isnan(m.call("power", one, infinite)[0])
    assert mp.isnan(m.call("power", infinite, zero)[0])
    assert m.call("power", zero, zero)[0] == 1


@pytest.mark.parametrize(
    "low, high", [(0.2, 1.0 - 0.2), (0.9, 1.0 - 0.9), (0.05, 1.0 - 0.05), (1e-7, 1.0 - 1e-7)]
)
def test_numbers_of_the_source_are_the_decimals_that_were_written(low, high):
    with mp.workdps(40):
        assert abs(decimal(low) + decimal(high) - 1) < mpf(10) ** -35


def test_a_number_next_to_1_is_not_rounded_to_it():
    assert decimal(1.0 - 2.0**-52) == 1.0 - 2.0**-52
