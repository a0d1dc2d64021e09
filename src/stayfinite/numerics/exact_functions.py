"""Values and derivatives of elementwise functions, in exact and in floating-point arithmetic.

Both are written once for the two arithmetics of `numerics.exact`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp, mpf

from stayfinite.numerics.exact import PAST_ONE, Array, Exact, Floating, flushed


@dataclass(frozen=True)
class ExactFunction:
    """One row: `value(m, *x)` and, for each operand, `derivative(m, *x, y)` with the result `y`.

    A derivative of None is 0 by definition: the gradient stops there.
    """

    value: Callable[..., Array]
    derivatives: tuple[Callable[..., Array] | None, ...]


def _kernel(name: str) -> Callable[..., Array]:
    return lambda m, *x: m.call(name, *x)


def _one(m: Exact | Floating, x: Array) -> Array:
    return m.number(1.0, x)


def _sigmoid(m: Exact | Floating, x: Array) -> Array:
    if m.exact:
        return m.call("divide", mpf(1), 1 + m.call("exp", -x))
    small = m.call("exp", -np.abs(x))
    return m.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _softplus(m: Exact | Floating, x: Array) -> Array:
    if m.exact:
        return m.call("log1p", m.call("exp", x))
    return np.maximum(x, 0) + m.call("log1p", m.call("exp", -np.abs(x)))


def _logaddexp(m: Exact | Floating, x: Array, y: Array) -> Array:
    if m.exact:
        return m.call("log", m.call("exp", x) + m.call("exp", y))
    return np.logaddexp(x, y)


def _share(m: Exact | Floating, x: Array, y: Array, z: Array, first: bool) -> Array:
    """The slope of `logaddexp` in `x`, the first operand or the second."""
    found = m.call("exp", x - z)
    if not m.rules.first_of_equals:
        return found
    return m.where(x - y == 0, m.number(float(first), x), found)


def _xlogy(m: Exact | Floating, x: Array, y: Array) -> Array:
    zero = m.number(0.0, x)
    return m.where(x == 0, zero, x * m.call("log", m.where(x == 0, _one(m, x), y)))


def _square_root_slope(m: Exact | Floating, x: Array, y: Array) -> Array:
    return m.call("divide", m.number(0.5, x), y)


def _over(m: Exact | Floating, x: Array, y: Array) -> Array:
    return m.call("divide", x, y)


def _divisor(m: Exact | Floating, x: Array, y: Array, z: Array) -> Array:
    if m.rules.squares_divisor:
        return -x * m.call("divide", _one(m, y), flushed(np.asarray(y * y)))
    return -m.call("divide", m.call("divide", x, y), y)


def _base(m: Exact | Floating, x: Array, y: Array, z: Array) -> Array:
    slope = y * m.call("power", x, y - 1)
    return m.where(y == 0, m.number(0.0, x), slope) if m.rules.flat_power else slope


def _exponent(m: Exact | Floating, x: Array, y: Array, z: Array) -> Array:
    """0 where the base is 0, as all frameworks define it."""
    away = (x <= 0) if m.rules.power_of_negative else (x == 0)
    return z * m.call("log", m.where(away, _one(m, x), x))


def _chosen(m: Exact | Floating, condition: Array, tie: Array, x: Array, first: bool) -> Array:
    """1 where `condition`, otherwise 0; of a tie what the framework gives to this operand."""
    one, zero = m.number(1.0, x), m.number(0.0, x)
    shared = float(first) if m.rules.first_of_equals else 0.5
    return m.where(tie, m.number(shared, x), m.where(condition, one, zero))


def _sign(m: Exact | Floating, x: Array) -> Array:
    one, zero = m.number(1.0, x), m.number(0.0, x)
    return m.where(x > 0, one, m.where(x < 0, -one, zero))


def _slope_of_abs(m: Exact | Floating, x: Array, y: Array) -> Array:
    at_zero = m.number(float(m.rules.slope_of_abs_at_zero), x)
    return m.where(x == 0, at_zero, _sign(m, x))


def _hypot(m: Exact | Floating, x: Array, y: Array) -> Array:
    return m.call("sqrt", x * x + y * y)


_LN2, _LN10 = math.log(2), math.log(10)


def _logarithm(base: int) -> ExactFunction:
    def scale(m: Exact | Floating, x: Array) -> Array:
        return m.call("log", mpf(base)) if m.exact else m.number(math.log(base), x)

    return ExactFunction(
        lambda m, x: _over(m, m.call("log", x), scale(m, x)),
        (lambda m, x, y: _over(m, _one(m, x), x * scale(m, x)),),
    )


def _inverse(slope: Callable[[Any, Array], Array]) -> tuple[Callable[..., Array]]:
    """The derivative 1 / slope(x)."""
    return (lambda m, x, y: _over(m, _one(m, x), slope(m, x)),)


def _root(m: Exact | Floating, x: Array) -> Array:
    """The square root; 0 for what is negative because roundings took an operand past 1."""
    return m.call("sqrt", m.where((x < 0) & (x > -3 * PAST_ONE), 0 * x, x) if m.exact else x)


_NORMAL = 2 / math.sqrt(math.pi)


def _bell(m: Exact | Floating, x: Array) -> Array:
    """2 / sqrt(pi) exp(-x^2)."""
    scale = 2 / mp.sqrt(mp.pi) if m.exact else m.number(_NORMAL, x)
    return scale * m.call("exp", -x * x)


def _slope_of_i1(m: Exact | Floating, x: Array, y: Array, even: str = "i0") -> Array:
    """`even` less y / x, which is 1/2 at 0."""
    zero, one = m.number(0.0, x), _one(m, x)
    ratio = m.where(x == zero, m.number(0.5, x), _over(m, y, m.where(x == zero, one, x)))
    return m.call(even, x) - ratio


def _mills(m: Exact | Floating, x: Array, y: Array) -> Array:
    """The derivative of log of the normal distribution function."""
    if m.exact:
        return m.call("divide", m.call("exp", -x * x / 2) / mp.sqrt(2 * mp.pi), m.call("exp", y))
    half_log_2_pi = m.number(0.5 * math.log(2 * math.pi), x)
    return m.call("exp", -x * x / 2 - half_log_2_pi - y)


FUNCTIONS: dict[str, ExactFunction] = {
    "add": ExactFunction(
        lambda m, x, y: x + y, (lambda m, x, y, z: _one(m, x), lambda m, x, y, z: _one(m, y))
    ),
    "subtract": ExactFunction(
        lambda m, x, y: x - y, (lambda m, x, y, z: _one(m, x), lambda m, x, y, z: -_one(m, y))
    ),
    "multiply": ExactFunction(lambda m, x, y: x * y, (lambda m, x, y, z: y, lambda m, x, y, z: x)),
    "divide": ExactFunction(_over, (lambda m, x, y, z: _over(m, _one(m, y), y), _divisor)),
    "power": ExactFunction(_kernel("power"), (_base, _exponent)),
    "maximum": ExactFunction(
        lambda m, x, y: m.where((x > y) | (x != x), x, y),
        (
            lambda m, x, y, z: _chosen(m, x > y, x == y, z, True),
            lambda m, x, y, z: _chosen(m, y > x, x == y, z, False),
        ),
    ),
    "minimum": ExactFunction(
        lambda m, x, y: m.where((x < y) | (x != x), x, y),
        (
            lambda m, x, y, z: _chosen(m, x < y, x == y, z, True),
            lambda m, x, y, z: _chosen(m, y < x, x == y, z, False),
        ),
    ),
    "logaddexp": ExactFunction(
        _logaddexp,
        (
            lambda m, x, y, z: _share(m, x, y, z, True),
            lambda m, x, y, z: _share(m, y, x, z, False),
        ),
    ),
    "arctan2": ExactFunction(
        _kernel("arctan2"),
        (
            lambda m, x, y, z: _over(m, y, x * x + y * y),
            lambda m, x, y, z: _over(m, -x, x * x + y * y),
        ),
    ),
    "hypot": ExactFunction(
        _hypot, (lambda m, x, y, z: _over(m, x, z), lambda m, x, y, z: _over(m, y, z))
    ),
    "xlogy": ExactFunction(
        _xlogy, (lambda m, x, y, z: m.call("log", y), lambda m, x, y, z: _over(m, x, y))
    ),
    "floor_divide": ExactFunction(lambda m, x, y: m.call("floor", _over(m, x, y)), (None, None)),
    "mod": ExactFunction(
        lambda m, x, y: x - y * m.call("floor", _over(m, x, y)),
        (
            lambda m, x, y, z: _one(m, x),
            lambda m, x, y, z: -m.call("floor", _over(m, x, y)),
        ),
    ),
    "negative": ExactFunction(lambda m, x: -x, (lambda m, x, y: -_one(m, x),)),
    "reciprocal": ExactFunction(
        lambda m, x: _over(m, _one(m, x), x), (lambda m, x, y: _divisor(m, _one(m, x), x, y),)
    ),
    "abs": ExactFunction(lambda m, x: abs(x), (_slope_of_abs,)),
    "square": ExactFunction(lambda m, x: x * x, (lambda m, x, y: 2 * x,)),
    "sqrt": ExactFunction(_kernel("sqrt"), (_square_root_slope,)),
    "rsqrt": ExactFunction(
        lambda m, x: _over(m, _one(m, x), m.call("sqrt", x)),
        (lambda m, x, y: _over(m, m.number(-0.5, x) * y, x),),
    ),
    "exp": ExactFunction(_kernel("exp"), (lambda m, x, y: y,)),
    "exp2": ExactFunction(
        lambda m, x: m.call("power", m.number(2.0, x), x),
        (lambda m, x, y: y * (m.call("log", mpf(2)) if m.exact else m.number(_LN2, x)),),
    ),
    "expm1": ExactFunction(_kernel("expm1"), (lambda m, x, y: y + 1,)),
    "log": ExactFunction(_kernel("log"), _inverse(lambda m, x: x)),
    "log1p": ExactFunction(_kernel("log1p"), _inverse(lambda m, x: 1 + x)),
    "log2": _logarithm(2),
    "log10": _logarithm(10),
    "sigmoid": ExactFunction(_sigmoid, (lambda m, x, y: y * (1 - y),)),
    "silu": ExactFunction(
        lambda m, x: x * _sigmoid(m, x),
        (lambda m, x, y: _sigmoid(m, x) * (1 + x * _sigmoid(m, -x)),),
    ),
    "log_sigmoid": ExactFunction(
        lambda m, x: -_softplus(m, -x), (lambda m, x, y: _sigmoid(m, -x),)
    ),
    "softplus": ExactFunction(_softplus, (lambda m, x, y: _sigmoid(m, x),)),
    "relu": ExactFunction(
        lambda m, x: m.where((x > 0) | (x != x), x, m.number(0.0, x)),
        (lambda m, x, y: m.where(x > 0, m.number(1.0, x), m.number(0.0, x)),),
    ),
    "tanh": ExactFunction(_kernel("tanh"), (lambda m, x, y: 1 - y * y,)),
    "sinh": ExactFunction(
        lambda m, x: (m.call("exp", x) - m.call("exp", -x)) / 2 if m.exact else flushed(np.sinh(x)),
        (lambda m, x, y: FUNCTIONS["cosh"].value(m, x),),
    ),
    "cosh": ExactFunction(
        lambda m, x: (m.call("exp", x) + m.call("exp", -x)) / 2 if m.exact else np.cosh(x),
        (lambda m, x, y: FUNCTIONS["sinh"].value(m, x),),
    ),
    "sin": ExactFunction(_kernel("sin"), (lambda m, x, y: m.call("cos", x),)),
    "cos": ExactFunction(_kernel("cos"), (lambda m, x, y: -m.call("sin", x),)),
    "tan": ExactFunction(
        lambda m, x: _over(m, m.call("sin", x), m.call("cos", x)), (lambda m, x, y: 1 + y * y,)
    ),
    "arcsin": ExactFunction(_kernel("arcsin"), _inverse(lambda m, x: _root(m, 1 - x * x))),
    "arccos": ExactFunction(_kernel("arccos"), _inverse(lambda m, x: -_root(m, 1 - x * x))),
    "arctan": ExactFunction(_kernel("arctan"), _inverse(lambda m, x: 1 + x * x)),
    "arcsinh": ExactFunction(_kernel("arcsinh"), _inverse(lambda m, x: m.call("sqrt", 1 + x * x))),
    "arccosh": ExactFunction(_kernel("arccosh"), _inverse(lambda m, x: _root(m, x * x - 1))),
    "arctanh": ExactFunction(_kernel("arctanh"), _inverse(lambda m, x: 1 - x * x)),
    "erf": ExactFunction(_kernel("erf"), (lambda m, x, y: _bell(m, x),)),
    "erfc": ExactFunction(_kernel("erfc"), (lambda m, x, y: -_bell(m, x),)),
    "erfinv": ExactFunction(
        _kernel("erfinv"), _inverse(lambda m, x: _bell(m, m.call("erfinv", x)))
    ),
    "lgamma": ExactFunction(_kernel("lgamma"), (lambda m, x, y: m.call("digamma", x),)),
    "gamma": ExactFunction(
        lambda m, x: m.call("exp", m.call("lgamma", x)), (lambda m, x, y: y * m.call("digamma", x),)
    ),
    "digamma": ExactFunction(_kernel("digamma"), (lambda m, x, y: m.call("trigamma", x),)),
    "log_ndtr": ExactFunction(_kernel("log_ndtr"), (_mills,)),
    "i0": ExactFunction(_kernel("i0"), (lambda m, x, y: m.call("i1", x),)),
    "i0e": ExactFunction(_kernel("i0e"), (lambda m, x, y: m.call("i1e", x) - _sign(m, x) * y,)),
    "i1": ExactFunction(_kernel("i1"), (_slope_of_i1,)),
    "i1e": ExactFunction(
        _kernel("i1e"), (lambda m, x, y: _slope_of_i1(m, x, y, "i0e") - _sign(m, x) * y,)
    ),
    "sign": ExactFunction(_sign, (None,)),
    "floor": ExactFunction(_kernel("floor"), (None,)),
    "ceil": ExactFunction(_kernel("ceil"), (None,)),
    "round": ExactFunction(_kernel("round"), (None,)),
    "stop_gradient": ExactFunction(lambda m, x: x, (None,)),
}

COMPARISONS: dict[str, Callable[..., np.ndarray]] = {
    "equal": lambda x, y: x == y,
    "not_equal": lambda x, y: x != y,
    "greater": lambda x, y: x > y,
    "greater_equal": lambda x, y: x >= y,
    "less": lambda x, y: x < y,
    "less_equal": lambda x, y: x <= y,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_not": np.logical_not,
}
