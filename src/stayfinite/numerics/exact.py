"""Two arithmetics for the same functions: exact, on mpmath numbers, and floating point.

`Exact` works on object arrays of mpmath numbers with the current `mpmath.mp` precision, `Floating`
on NumPy arrays. A value that does not exist is NaN in both; a pole is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

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
        for value in x:
            if mp.isnan(value):
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


def _is_out_of_range(x: mpf, y: mpf) -> bool:
    """Whether the exponent of `x ** y` is beyond the limit; `x` and `y` are finite and not 0."""
    # Where the binary exponents decide, no logarithm is needed.
    if mp.mag(y) < 20 and abs(mp.mag(x)) < 10**4:
        return False
    return bool(abs(y * mp.log(abs(x))) > EXPONENT_LIMIT)


def _power(x: mpf, y: mpf) -> mpf:
    if (y == 0 and mp.isinf(x)) or (x == 1 and mp.isinf(y)):
        return NAN  # it has any limit, though floating-point arithmetic has 1 there
    if y == 0 or x == 1:
        return mpf(1)
    if x == 0:
        return mpf(0) if y > 0 else INF
    if x < 0 and y != mp.floor(y):
        return NAN
    if mp.isinf(x) or mp.isinf(y) or _is_out_of_range(x, y):
        small = (abs(x) < 1) == (y > 0)
        return mpf(0) if small else INF
    return mp.power(x, y)


def _log_ndtr(x: mpf) -> mpf:
    return mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


def _bounded(function: Callable[[mpf], Any], limit: int) -> Callable[[mpf], Any]:
    """NaN beyond `limit`, where mpmath takes minutes."""
    return lambda x: function(x) if abs(x) < limit else NAN


# How far roundings of float32 take what is at most 1, as the cosine of two unit vectors, past 1.
PAST_ONE = mpf(10) ** -6


def _past_one(x: mpf, *, inside: bool) -> mpf:
    """1 or -1 for what roundings took past it; `inside`: of a function defined between the two."""
    size = abs(x)
    is_past = 1 < size <= 1 + PAST_ONE if inside else 1 - PAST_ONE <= x < 1
    return mp.sign(x) if is_past else x


EXACT: dict[str, Callable[..., mpf]] = {
    "exp": _exp,
    "expm1": _expm1,
    "log": _log,
    "log1p": lambda x: mp.log1p(x) if x > -1 else (-INF if x == -1 else NAN),
    "sqrt": lambda x: mp.sqrt(x) if x >= 0 else NAN,
    "sin": _bounded(mp.sin, 10**12),
    "cos": _bounded(mp.cos, 10**12),
    "tanh": mp.tanh,
    "arcsin": lambda x: mp.asin(_past_one(x, inside=True)),
    "arccos": lambda x: mp.acos(_past_one(x, inside=True)),
    "arctan": mp.atan,
    "arcsinh": mp.asinh,
    "arccosh": lambda x: mp.acosh(_past_one(x, inside=False)),
    "arctanh": mp.atanh,
    "erf": mp.erf,
    "erfc": mp.erfc,
    "erfinv": mp.erfinv,
    "lgamma": _bounded(lambda x: mp.loggamma(x) if x > 0 else mp.log(abs(mp.gamma(x))), 10**40),
    "digamma": _bounded(mp.digamma, 10**40),
    "trigamma": _bounded(lambda x: mp.psi(1, x), 10**40),
    "log_ndtr": _log_ndtr,
    "i0": _bounded(lambda x: mp.besseli(0, x), 10**8),
    "i1": _bounded(lambda x: mp.besseli(1, x), 10**8),
    "i0e": _bounded(lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), 10**8),
    "i1e": _bounded(lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), 10**8),
    "floor": mp.floor,
    "ceil": mp.ceil,
    "round": mp.nint,
    "divide": _divide,
    "power": _power,
    "arctan2": mp.atan2,
}


@dataclass(frozen=True)
class Rules:
    """How a framework computes those gradients in which frameworks differ.

    `squares_divisor`: the gradient of a divisor is divided by its square, which loses it where the
    square overflows; otherwise it is divided twice. `selects`: functions that choose the adjoint by
    a condition; the others multiply it by 0 or 1, and 0 times NaN is NaN. `absorbs`: functions with
    an infinite slope through which an adjoint of 0 stays 0. `first_of_equals`: the gradient of a
    tie of two operands goes to the first, not to both. `slope_of_abs_at_zero` is 0 or 1.
    `flat_power`: the slope of `x ** 0` at 0 is 0, not NaN. `power_of_negative`: the slope of the
    exponent over a negative base is 0, not NaN. `norm_at_zero`: the gradient there is 0, not NaN.
    """

    squares_divisor: bool = False
    selects: frozenset[str] = frozenset()
    absorbs: frozenset[str] = frozenset()
    first_of_equals: bool = False
    slope_of_abs_at_zero: int = 0
    flat_power: bool = False
    power_of_negative: bool = False
    norm_at_zero: bool = False


RULES: dict[Literal["jax", "tensorflow", "torch"], Rules] = {
    "jax": Rules(squares_divisor=True, selects=frozenset({"relu"}), slope_of_abs_at_zero=1),
    "tensorflow": Rules(
        selects=frozenset({"maximum", "minimum", "clip"}),
        absorbs=frozenset({"sqrt"}),
        first_of_equals=True,
        power_of_negative=True,
    ),
    "torch": Rules(
        selects=frozenset({"relu", "maximum", "minimum", "clip"}),
        flat_power=True,
        norm_at_zero=True,
    ),
}


def decimal(x: float) -> mpf:
    """A number of the source: the decimal one that was written, if it has few digits.

    So 0.2 and 0.8 make 1. `1.0 - 0.9` is computed before, which leaves a few last bits.
    """
    text = f"{x:.12g}"
    short = float(text)
    if short == x or (short != round(short) and abs(short - x) <= 1e-15 * abs(x)):
        return mpf(text)
    return mpf(x)


class Exact:
    """Arithmetic on object arrays of `mpf`, with the precision that `mpmath.mp` has now."""

    exact = True
    rules = Rules(flat_power=True)

    def __init__(self) -> None:
        self._functions = {
            name: np.frompyfunc(_real(function), 2 if name in BINARY_KERNELS else 1, 1)
            for name, function in EXACT.items()
        }

    def call(self, name: str, *x: Array) -> Array:
        """The function `name` of the table `EXACT`, element by element."""
        if name == "power" and np.ndim(x[1]) == 0:
            # Most powers are squares, and the derivative of a square.
            if x[1] == 1:
                return x[0]
            if x[1] == 2:
                return x[0] * x[0]
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
    """Arithmetic on floating-point arrays, with subnormal numbers flushed as devices do."""

    exact = False

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

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
    "i0": _elementwise(lambda x: mp.besseli(0, x)),
    "i1": _elementwise(lambda x: mp.besseli(1, x)),
    "i0e": _elementwise(lambda x: mp.besseli(0, x) * mp.exp(-abs(x))),
    "i1e": _elementwise(lambda x: mp.besseli(1, x) * mp.exp(-abs(x))),
}
BINARY_KERNELS = frozenset({"divide", "power", "arctan2"})
