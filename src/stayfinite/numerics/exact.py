"""Functions of real numbers, element by element, in exact and in floating-point arithmetic.

`FUNCTIONS` has one row for each: how the value is computed, and the derivative for each operand.
Both are written once for two arithmetics: `Exact` works on object arrays of mpmath numbers with the
current `mpmath.mp` precision, `Floating` on NumPy arrays.
A value that does not exist is NaN in both; a pole is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp, mpf

# An array of floats or of mpmath numbers. Arrays of both kinds share NumPy's operators, which have
# no common static type.
Array = Any

NAN, INF = mpf("nan"), mpf("inf")
# Beyond this an exact exponential takes exponents of many digits; it counts as infinite.
EXPONENT_LIMIT = mpf(10) ** 12


def _real(function: Callable[..., Any]) -> Callable[..., mpf]:
    """`function` with NaN for a result that is not real, and for an argument outside its domain."""

    def guarded(*x: mpf) -> mpf:
        if any(value != value for value in x):
            return NAN
        try:
            found = function(*x)
        except (ValueError, ZeroDivisionError, OverflowError, mp.NoConvergence):
            return NAN
        return found if isinstance(found, mpf) else NAN

    return guarded


def _exp(x: mpf) -> mpf:
    if abs(x) > EXPONENT_LIMIT:
        return INF if x > 0 else mpf(0)
    return mp.exp(x)


def _expm1(x: mpf) -> mpf:
    return mp.expm1(x) if abs(x) < EXPONENT_LIMIT else _exp(x) - 1


def _log(x: mpf) -> mpf:
    return -INF if x == 0 else mp.log(x) if x > 0 else NAN


def _divide(x: mpf, y: mpf) -> mpf:
    if y == 0:
        return NAN if x == 0 or x != x else (INF if x > 0 else -INF)
    return x / y


def _power(x: mpf, y: mpf) -> mpf:
    if y == 0 or x == 1:
        return mpf(1)
    if x == 0:
        return mpf(0) if y > 0 else INF
    if x < 0 and y != mp.floor(y):
        return NAN
    if mp.isinf(x) or mp.isinf(y) or abs(y * mp.log(abs(x))) > EXPONENT_LIMIT:
        small = (abs(x) < 1) == (y > 0)
        return mpf(0) if small else INF
    return mp.power(x, y)


def _log_ndtr(x: mpf) -> mpf:
    return mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


def _bounded(function: Callable[[mpf], Any], limit: int) -> Callable[[mpf], Any]:
    """NaN beyond `limit`, where mpmath takes minutes."""
    return lambda x: function(x) if abs(x) < limit else NAN


EXACT: dict[str, Callable[..., mpf]] = {
    "exp": _exp,
    "expm1": _expm1,
    "log": _log,
    "log1p": lambda x: mp.log1p(x) if x > -1 else (-INF if x == -1 else NAN),
    "sqrt": lambda x: mp.sqrt(x) if x >= 0 else NAN,
    "sin": _bounded(mp.sin, 10**12),
    "cos": _bounded(mp.cos, 10**12),
    "tanh": mp.tanh,
    "arcsin": mp.asin,
    "arccos": mp.acos,
    "arctan": mp.atan,
    "arcsinh": mp.asinh,
    "arccosh": mp.acosh,
    "arctanh": mp.atanh,
    "erf": mp.erf,
    "erfc": mp.erfc,
    "erfinv": mp.erfinv,
    "lgamma": _bounded(lambda x: mp.loggamma(x) if x > 0 else mp.log(abs(mp.gamma(x))), 10**40),
    "digamma": _bounded(mp.digamma, 10**40),
    "trigamma": _bounded(lambda x: mp.psi(1, x), 10**40),
    "log_ndtr": _log_ndtr,
    "floor": mp.floor,
    "ceil": mp.ceil,
    "round": mp.nint,
    "divide": _divide,
    "power": _power,
    "arctan2": mp.atan2,
}


class Exact:
    """Arithmetic on object arrays of `mpf`, with the precision that `mpmath.mp` has now."""

    exact = True
    division = "quotient"

    def __init__(self) -> None:
        self._functions = {
            name: np.frompyfunc(_real(function), 2 if name in BINARY_KERNELS else 1, 1)
            for name, function in EXACT.items()
        }

    def call(self, name: str, *x: Array) -> Array:
        """The function `name` of the table `EXACT`, element by element."""
        return self._functions[name](*x)

    def number(self, value: float, like: Array) -> Array:
        """`value` as a number of this arithmetic."""
        return mpf(value)

    def where(self, condition: Array, x: Array, y: Array) -> Array:
        """As `numpy.where`, with objects kept as they are."""
        return np.where(np.asarray(condition).astype(bool), x, y)

    def chain(self, adjoint: Array, derivative: Array) -> Array:
        """Adjoint times derivative; an adjoint of 0 wins over an infinite derivative."""
        adjoint, derivative = np.broadcast_arrays(adjoint, derivative)
        zero = (adjoint == 0).astype(bool)
        if not zero.any():
            return adjoint * derivative
        return np.where(zero, mpf(0), adjoint * np.where(zero, mpf(0), derivative))


class Floating:
    """Arithmetic on floating-point arrays, with subnormal numbers flushed as devices do.

    `division` selects how the divisor's gradient is computed: "square" divides by the square of the
    divisor, as JAX does, which loses it where the square overflows; "quotient" divides twice.
    """

    exact = False

    def __init__(self, division: str) -> None:
        self.division = division

    def call(self, name: str, *x: Array) -> Array:
        """The function `name` of the table `EXACT`, rounded to the dtype of its operands."""
        own = getattr(np, name, None) if name not in SLOW else None
        if own is not None:
            return flushed(np.asarray(own(*x)))
        dtype = np.result_type(*x)
        found = SLOW[name](*(np.asarray(v, np.float64) for v in x))
        return flushed(np.asarray(found, dtype))

    def number(self, value: float, like: Array) -> Array:
        """`value` in the dtype of `like`."""
        return np.asarray(like).dtype.type(value)

    def where(self, condition: Array, x: Array, y: Array) -> Array:
        """As `numpy.where`."""
        return np.where(condition, x, y)

    def chain(self, adjoint: Array, derivative: Array) -> Array:
        """Adjoint times derivative, where 0 times infinity is NaN."""
        return flushed(np.asarray(adjoint * derivative))


def flushed(x: np.ndarray) -> np.ndarray:
    """`x` with subnormal numbers set to 0."""
    if x.dtype in (np.float32, np.float64):
        tiny = np.finfo(x.dtype).smallest_normal
        return np.where(np.abs(x) < tiny, x.dtype.type(0), x)
    return x


def _elementwise(function: Callable[[float], Any]) -> Callable[[np.ndarray], np.ndarray]:
    def guarded(value: float) -> float:
        try:
            return float(function(value))
        except (ValueError, OverflowError, ZeroDivisionError, TypeError):
            return math.nan

    return np.vectorize(guarded, otypes=[np.float64])


def _log_ndtr_float(x: float) -> float:
    if x > -20:
        return (
            math.log(math.erfc(-x / math.sqrt(2)) / 2)
            if x < 6
            else -math.erfc(x / math.sqrt(2)) / 2
        )
    return -x * x / 2 - math.log(-x * math.sqrt(2 * math.pi)) - 1 / (x * x)


def _lgamma_float(x: float) -> float:
    return math.inf if (x <= 0 and x == math.floor(x)) or math.isinf(x) else math.lgamma(x)


# Functions that NumPy does not have, computed in float64 and rounded.
SLOW: dict[str, Callable[..., np.ndarray]] = {
    "erf": _elementwise(math.erf),
    "erfc": _elementwise(math.erfc),
    "erfinv": _elementwise(lambda x: mp.erfinv(x)),
    "lgamma": _elementwise(_lgamma_float),
    "digamma": _elementwise(lambda x: mp.digamma(x)),
    "trigamma": _elementwise(lambda x: mp.psi(1, x)),
    "log_ndtr": _elementwise(_log_ndtr_float),
}
BINARY_KERNELS = frozenset({"divide", "power", "arctan2"})


@dataclass(frozen=True)
class Function:
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


def _xlogy(m: Exact | Floating, x: Array, y: Array) -> Array:
    zero = m.number(0.0, x)
    return m.where(x == 0, zero, x * m.call("log", m.where(x == 0, _one(m, x), y)))


def _square_root_slope(m: Exact | Floating, x: Array, y: Array) -> Array:
    return m.call("divide", m.number(0.5, x), y)


def _over(m: Exact | Floating, x: Array, y: Array) -> Array:
    return m.call("divide", x, y)


def _divisor(m: Exact | Floating, x: Array, y: Array, z: Array) -> Array:
    if m.division == "square":
        return -x * m.call("divide", _one(m, y), flushed(np.asarray(y * y)))
    return -m.call("divide", m.call("divide", x, y), y)


def _base(m: Exact | Floating, x: Array, y: Array, z: Array) -> Array:
    zero = m.number(0.0, x)
    return m.where(y == 0, zero, y * m.call("power", x, y - 1))


def _exponent(m: Exact | Floating, x: Array, y: Array, z: Array) -> Array:
    """0 where the base is 0, as all frameworks define it."""
    safe = m.where(x == 0, _one(m, x), x)
    return z * m.call("log", safe)


def _half(m: Exact | Floating, condition: Array, tie: Array, x: Array) -> Array:
    """1 where `condition`, one half where `tie`, otherwise 0."""
    one, zero = m.number(1.0, x), m.number(0.0, x)
    return m.where(tie, m.number(0.5, x), m.where(condition, one, zero))


def _sign(m: Exact | Floating, x: Array) -> Array:
    one, zero = m.number(1.0, x), m.number(0.0, x)
    return m.where(x > 0, one, m.where(x < 0, -one, zero))


def _hypot(m: Exact | Floating, x: Array, y: Array) -> Array:
    return m.call("sqrt", x * x + y * y)


_LN2, _LN10 = math.log(2), math.log(10)


def _logarithm(base: int) -> Function:
    def scale(m: Exact | Floating, x: Array) -> Array:
        return m.call("log", mpf(base)) if m.exact else m.number(math.log(base), x)

    return Function(
        lambda m, x: _over(m, m.call("log", x), scale(m, x)),
        (lambda m, x, y: _over(m, _one(m, x), x * scale(m, x)),),
    )


def _inverse(slope: Callable[[Any, Array], Array]) -> tuple[Callable[..., Array]]:
    """The derivative 1 / slope(x)."""
    return (lambda m, x, y: _over(m, _one(m, x), slope(m, x)),)


_NORMAL = 2 / math.sqrt(math.pi)


def _bell(m: Exact | Floating, x: Array) -> Array:
    """2 / sqrt(pi) exp(-x^2)."""
    scale = 2 / mp.sqrt(mp.pi) if m.exact else m.number(_NORMAL, x)
    return scale * m.call("exp", -x * x)


def _mills(m: Exact | Floating, x: Array, y: Array) -> Array:
    """The derivative of log of the normal distribution function."""
    if m.exact:
        return m.call("divide", m.call("exp", -x * x / 2) / mp.sqrt(2 * mp.pi), m.call("exp", y))
    half_log_2_pi = m.number(0.5 * math.log(2 * math.pi), x)
    return m.call("exp", -x * x / 2 - half_log_2_pi - y)


FUNCTIONS: dict[str, Function] = {
    "add": Function(
        lambda m, x, y: x + y, (lambda m, x, y, z: _one(m, x), lambda m, x, y, z: _one(m, y))
    ),
    "subtract": Function(
        lambda m, x, y: x - y, (lambda m, x, y, z: _one(m, x), lambda m, x, y, z: -_one(m, y))
    ),
    "multiply": Function(lambda m, x, y: x * y, (lambda m, x, y, z: y, lambda m, x, y, z: x)),
    "divide": Function(_over, (lambda m, x, y, z: _over(m, _one(m, y), y), _divisor)),
    "power": Function(_kernel("power"), (_base, _exponent)),
    "maximum": Function(
        lambda m, x, y: m.where((x > y) | (x != x), x, y),
        (
            lambda m, x, y, z: _half(m, x > y, x == y, z),
            lambda m, x, y, z: _half(m, y > x, x == y, z),
        ),
    ),
    "minimum": Function(
        lambda m, x, y: m.where((x < y) | (x != x), x, y),
        (
            lambda m, x, y, z: _half(m, x < y, x == y, z),
            lambda m, x, y, z: _half(m, y < x, x == y, z),
        ),
    ),
    "logaddexp": Function(
        _logaddexp,
        (
            lambda m, x, y, z: m.call("exp", x - z),
            lambda m, x, y, z: m.call("exp", y - z),
        ),
    ),
    "arctan2": Function(
        _kernel("arctan2"),
        (
            lambda m, x, y, z: _over(m, y, x * x + y * y),
            lambda m, x, y, z: _over(m, -x, x * x + y * y),
        ),
    ),
    "hypot": Function(
        _hypot, (lambda m, x, y, z: _over(m, x, z), lambda m, x, y, z: _over(m, y, z))
    ),
    "xlogy": Function(
        _xlogy, (lambda m, x, y, z: m.call("log", y), lambda m, x, y, z: _over(m, x, y))
    ),
    "floor_divide": Function(lambda m, x, y: m.call("floor", _over(m, x, y)), (None, None)),
    "mod": Function(
        lambda m, x, y: x - y * m.call("floor", _over(m, x, y)),
        (
            lambda m, x, y, z: _one(m, x),
            lambda m, x, y, z: -m.call("floor", _over(m, x, y)),
        ),
    ),
    "negative": Function(lambda m, x: -x, (lambda m, x, y: -_one(m, x),)),
    "reciprocal": Function(
        lambda m, x: _over(m, _one(m, x), x), (lambda m, x, y: _divisor(m, _one(m, x), x, y),)
    ),
    "abs": Function(lambda m, x: abs(x), (lambda m, x, y: _sign(m, x),)),
    "square": Function(lambda m, x: x * x, (lambda m, x, y: 2 * x,)),
    "sqrt": Function(_kernel("sqrt"), (_square_root_slope,)),
    "rsqrt": Function(
        lambda m, x: _over(m, _one(m, x), m.call("sqrt", x)),
        (lambda m, x, y: _over(m, m.number(-0.5, x) * y, x),),
    ),
    "exp": Function(_kernel("exp"), (lambda m, x, y: y,)),
    "exp2": Function(
        lambda m, x: m.call("power", m.number(2.0, x), x),
        (lambda m, x, y: y * (m.call("log", mpf(2)) if m.exact else m.number(_LN2, x)),),
    ),
    "expm1": Function(_kernel("expm1"), (lambda m, x, y: y + 1,)),
    "log": Function(_kernel("log"), _inverse(lambda m, x: x)),
    "log1p": Function(_kernel("log1p"), _inverse(lambda m, x: 1 + x)),
    "log2": _logarithm(2),
    "log10": _logarithm(10),
    "sigmoid": Function(_sigmoid, (lambda m, x, y: y * (1 - y),)),
    "silu": Function(
        lambda m, x: x * _sigmoid(m, x),
        (lambda m, x, y: _sigmoid(m, x) * (1 + x * _sigmoid(m, -x)),),
    ),
    "log_sigmoid": Function(lambda m, x: -_softplus(m, -x), (lambda m, x, y: _sigmoid(m, -x),)),
    "softplus": Function(_softplus, (lambda m, x, y: _sigmoid(m, x),)),
    "relu": Function(
        lambda m, x: m.where((x > 0) | (x != x), x, m.number(0.0, x)),
        (lambda m, x, y: m.where(x > 0, m.number(1.0, x), m.number(0.0, x)),),
    ),
    "tanh": Function(_kernel("tanh"), (lambda m, x, y: 1 - y * y,)),
    "sinh": Function(
        lambda m, x: (m.call("exp", x) - m.call("exp", -x)) / 2 if m.exact else flushed(np.sinh(x)),
        (lambda m, x, y: FUNCTIONS["cosh"].value(m, x),),
    ),
    "cosh": Function(
        lambda m, x: (m.call("exp", x) + m.call("exp", -x)) / 2 if m.exact else np.cosh(x),
        (lambda m, x, y: FUNCTIONS["sinh"].value(m, x),),
    ),
    "sin": Function(_kernel("sin"), (lambda m, x, y: m.call("cos", x),)),
    "cos": Function(_kernel("cos"), (lambda m, x, y: -m.call("sin", x),)),
    "tan": Function(
        lambda m, x: _over(m, m.call("sin", x), m.call("cos", x)), (lambda m, x, y: 1 + y * y,)
    ),
    "arcsin": Function(_kernel("arcsin"), _inverse(lambda m, x: m.call("sqrt", 1 - x * x))),
    "arccos": Function(_kernel("arccos"), _inverse(lambda m, x: -m.call("sqrt", 1 - x * x))),
    "arctan": Function(_kernel("arctan"), _inverse(lambda m, x: 1 + x * x)),
    "arcsinh": Function(_kernel("arcsinh"), _inverse(lambda m, x: m.call("sqrt", 1 + x * x))),
    "arccosh": Function(_kernel("arccosh"), _inverse(lambda m, x: m.call("sqrt", x * x - 1))),
    "arctanh": Function(_kernel("arctanh"), _inverse(lambda m, x: 1 - x * x)),
    "erf": Function(_kernel("erf"), (lambda m, x, y: _bell(m, x),)),
    "erfc": Function(_kernel("erfc"), (lambda m, x, y: -_bell(m, x),)),
    "erfinv": Function(_kernel("erfinv"), _inverse(lambda m, x: _bell(m, m.call("erfinv", x)))),
    "lgamma": Function(_kernel("lgamma"), (lambda m, x, y: m.call("digamma", x),)),
    "gamma": Function(
        lambda m, x: m.call("exp", m.call("lgamma", x)), (lambda m, x, y: y * m.call("digamma", x),)
    ),
    "digamma": Function(_kernel("digamma"), (lambda m, x, y: m.call("trigamma", x),)),
    "log_ndtr": Function(_kernel("log_ndtr"), (_mills,)),
    "sign": Function(_sign, (None,)),
    "floor": Function(_kernel("floor"), (None,)),
    "ceil": Function(_kernel("ceil"), (None,)),
    "round": Function(_kernel("round"), (None,)),
    "stop_gradient": Function(lambda m, x: x, (None,)),
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
