"""How each function of the table is computed in float64, to hold its row against.

A function of two operands takes them in the order of `keras.ops`.
"""

from __future__ import annotations

import mpmath
import numpy as np


def _elementwise(function):
    """A function of mpmath on arrays; where it raises, at a pole, the value is infinite."""

    def one(*numbers):
        try:
            value = function(*(mpmath.mpf(float(number)) for number in numbers))
        except ValueError:
            return np.inf
        return float(value)

    return np.vectorize(one, otypes=[float])


def _xlogy(x, y):
    return np.where(x == 0, np.where(y < 0, np.nan, 0.0), x * np.log(y))


def _xlog1py(x, y):
    return np.where(x == 0, np.where(y < -1, np.nan, 0.0), x * np.log1p(y))


EXAMPLES = {
    "arccos": np.arccos,
    "arccosh": np.arccosh,
    "arcsin": np.arcsin,
    "arctan2": np.arctan2,
    "arctanh": np.arctanh,
    "cbrt": np.cbrt,
    "cosh": np.cosh,
    "digamma": _elementwise(mpmath.digamma),
    "divide": np.divide,
    "erfinv": _elementwise(mpmath.erfinv),
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "addcdiv": lambda x, y, z: x + y / z,
    "floor_divide": lambda x, y: np.floor(x / y),
    "lgamma": _elementwise(lambda x: mpmath.log(abs(mpmath.gamma(x)))),
    "log": np.log,
    "log10": np.log10,
    "log1p": np.log1p,
    "log2": np.log2,
    "logit": lambda x: np.log(x / (1 - x)),
    "entr": lambda x: -_xlogy(x, x),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "mod": lambda x, y: x - y * np.floor(x / y),
    "power": np.power,
    "reciprocal": np.reciprocal,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "square": np.square,
    "tan": np.tan,
    "tanh": np.tanh,
    "xlog1py": _xlog1py,
    "xlogy": _xlogy,
}
