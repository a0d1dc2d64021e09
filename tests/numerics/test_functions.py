"""Every row of the table of functions, held against the function itself."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayfinite.numerics import exact_functions, functions
from stayfinite.numerics.functions import FUNCTIONS, Growth, Trait
from tests.numerics.examples import EXAMPLES

ORDINARY = 2.0
NUMBERS = st.floats(-30.0, 30.0, allow_subnormal=False) | st.sampled_from(
    [0.0, 1.0, -1.0, -2.0, 0.5]
)


def named(predicate):
    return [name for name, row in sorted(FUNCTIONS.items()) if predicate(row)]


def value(row, critical, other=ORDINARY):
    """The function at a value of its critical operand, in float64."""
    operands = [critical]
    if row.name in TWO_OPERANDS:
        operands = [other, other]
        operands[row.critical] = critical
    if row.name == "addcdiv":
        operands = [other, other, critical]
    with np.errstate(all="ignore"):
        return float(EXAMPLES[row.name](*(np.float64(operand) for operand in operands)))


TWO_OPERANDS = {
    "arctan2",
    "divide",
    "floor_divide",
    "maximum",
    "minimum",
    "mod",
    "power",
    "xlog1py",
    "xlogy",
}


def test_names_and_aliases_are_unique():
    spelled = [name for row in FUNCTIONS.values() for name in (row.name, *row.aliases)]
    assert len(spelled) == len(set(spelled)) == len(FUNCTIONS) + len(functions._CANONICAL)


def test_every_row_that_states_a_number_has_an_example():
    states = named(lambda row: row.domain or row.pole or row.singular or row.inverse)
    assert set(states) <= set(EXAMPLES)
    assert set(named(lambda row: row.harmless is not None)) <= set(EXAMPLES)


def test_exact_functions_have_the_names_of_this_table():
    states = named(lambda row: row.domain or row.pole or row.singular or row.inverse)
    # Formulas write `logit` with other functions, and do not have the others.
    others = {"logit", "entr", "cbrt", "xlog1py", "addcdiv"}
    assert set(states) - set(exact_functions.FUNCTIONS) == others
    spelled = {name for name in exact_functions.FUNCTIONS if functions.canonical(name) != name}
    assert spelled == {"abs"}, "another spelling of a function of this table"


@pytest.mark.parametrize("name", named(lambda row: row.domain is not None))
@given(critical=NUMBERS, other=NUMBERS)
def test_there_is_no_value_just_outside_of_the_domain(name, critical, other):
    row = FUNCTIONS[name]
    if name.startswith("xlog"):
        other = ORDINARY  # 0 * log(y) is 0 by definition
    excluded = bool(row.domain.excludes(np.float64(critical), np.float64(other)))
    found = value(row, critical, other)
    at_pole = row.pole is not None and critical == row.pole.at
    if excluded:
        assert not math.isfinite(found)
    elif not at_pole and not (math.isinf(found) and row.growth is not None):
        at_end = math.isinf(found) and name in ("logit", "xlogy", "xlog1py")
        assert math.isfinite(found) or at_end


@pytest.mark.parametrize("name", named(lambda row: row.pole is not None))
def test_value_is_not_finite_at_a_pole_and_large_beside_it(name):
    row = FUNCTIONS[name]
    other = -1.0 if name == "power" else ORDINARY
    assert not math.isfinite(value(row, row.pole.at, other))
    beside = row.pole.at + 1e-12
    assert math.isfinite(value(row, beside, other))
    if name != "mod":
        assert abs(value(row, beside, other)) > 10.0


@pytest.mark.parametrize("name", named(lambda row: row.singular is not None))
def test_at_a_singular_point_the_value_is_finite_and_the_derivative_is_not(name):
    row = FUNCTIONS[name]
    other = {"power": 0.5, "arctan2": 0.0}.get(name, ORDINARY)
    for point in row.singular.points:
        assert row.singular.includes(np.float64(point), np.float64(other)).all()
        assert math.isfinite(value(row, point, other))
        expression = row.singular.derivative.format(x=f"({point})", y=f"({other})")
        assert repr(derivative(expression)) == repr(row.singular.value)


@pytest.mark.parametrize("name", named(lambda row: row.singular is not None))
@given(critical=st.floats(0.05, 3.0))
def test_derivative_is_the_slope_elsewhere(name, critical):
    row, other = FUNCTIONS[name], 0.5
    if row.domain is not None and row.domain.excludes(np.float64(critical)).any():
        return
    if any(abs(critical - point) < 0.01 for point in row.singular.points):
        return
    step = 1e-6
    # The derivative of `arctan2(y, x)` is stated for y, the other ones for the critical operand.
    if name == "arctan2":
        rise = value(row, critical, other + step) - value(row, critical, other - step)
    else:
        rise = value(row, critical + step, other) - value(row, critical - step, other)
    stated = derivative(row.singular.derivative.format(x=critical, y=other))
    assert stated == pytest.approx(rise / (2 * step), rel=1e-4, abs=1e-7)


def derivative(expression):
    numbers = {"sqrt": np.sqrt, "cbrt": np.cbrt, "log": np.log}
    with np.errstate(all="ignore"):
        return float(eval(wrapped(expression), {"__builtins__": {}, "f": np.float64, **numbers}))


def wrapped(expression):
    """The expression with each number as a NumPy scalar, which divides by 0 without an error."""
    return re.sub(r"(?<![\w.])(\d+\.?\d*(?:e[-+]?\d+)?)", r"f(\1)", expression)


@pytest.mark.parametrize("name", named(lambda row: row.inverse is not None))
@pytest.mark.parametrize("largest", [65504.0, 3.4028235e38])
def test_inverse_is_where_the_range_ends(name, largest):
    row = FUNCTIONS[name]
    assert row.growth is Growth.STEEP
    end = row.inverse(largest)
    assert value(row, end) == pytest.approx(largest, rel=1e-4)
    assert value(row, end * 1.01) > largest


@pytest.mark.parametrize("name", named(lambda row: row.harmless is not None))
def test_harmless_value_has_an_ordinary_value_and_slope(name):
    row, step = FUNCTIONS[name], 1e-6
    assert abs(value(row, row.harmless)) < 10.0
    rise = value(row, row.harmless + step) - value(row, row.harmless - step)
    if name not in ("floor_divide", "mod"):  # their slope jumps
        assert abs(rise / (2 * step)) < 10.0


@pytest.mark.parametrize("name", named(lambda row: row.has(Trait.BOUNDED_AT_INFINITY)))
def test_an_infinite_operand_may_give_a_finite_value(name):
    if name == "clip":
        assert np.isfinite(np.clip(np.inf, 0.0, 1.0))
        return
    row = FUNCTIONS[name]
    assert any(math.isfinite(value(row, infinity)) for infinity in (math.inf, -math.inf))


@pytest.mark.parametrize("name", named(lambda row: row.growth is Growth.STEEP and row.inverse))
def test_steep_functions_leave_the_range_at_ordinary_operands(name):
    assert value(FUNCTIONS[name], 200.0) > 3.4e38


def test_spellings_lead_to_the_same_row():
    assert functions.row("is_finite") is functions.row("isfinite")
    assert functions.canonical("ne") == "not_equal"
    assert functions.canonical("no_such_function") == "no_such_function"
    assert functions.row("no_such_function").traits == frozenset()
