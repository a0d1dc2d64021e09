"""Where elementary functions are defined, and where their value or derivative has a pole.

Names are canonical op names; functions that are not here are defined everywhere or not known.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_Where = Callable[[np.ndarray], np.ndarray]

# The value is -inf or inf at this operand.
LOG_POLES = {"log": 0.0, "log1p": -1.0, "log2": 0.0, "log10": 0.0}

_OUTSIDE: dict[str, tuple[str, _Where]] = {
    "log": ("below 0", lambda x: x < 0),
    "log2": ("below 0", lambda x: x < 0),
    "log10": ("below 0", lambda x: x < 0),
    "log1p": ("below -1", lambda x: x < -1),
    "sqrt": ("below 0", lambda x: x < 0),
    "rsqrt": ("below 0", lambda x: x < 0),
    "arccos": ("outside [-1, 1]", lambda x: np.abs(x) > 1),
    "arcsin": ("outside [-1, 1]", lambda x: np.abs(x) > 1),
    "arccosh": ("below 1", lambda x: x < 1),
    "arctanh": ("not inside (-1, 1)", lambda x: np.abs(x) >= 1),
    "erfinv": ("not inside (-1, 1)", lambda x: np.abs(x) >= 1),
    "erf_inv": ("not inside (-1, 1)", lambda x: np.abs(x) >= 1),
    "logit": ("outside [0, 1]", lambda x: (x < 0) | (x > 1)),
    "lgamma": ("0 or a negative integer", lambda x: (x <= 0) & (x == np.floor(x))),
    "digamma": ("0 or a negative integer", lambda x: (x <= 0) & (x == np.floor(x))),
}


def outside(name: str, operands: list[np.ndarray]) -> tuple[int, str, np.ndarray] | None:
    """Which operand of an op leaves its domain: position, words, mask; None where none can."""
    if name == "power" and len(operands) == 2:
        base, exponent = operands
        return 0, "below 0 with a broken exponent", (base < 0) & (exponent != np.floor(exponent))
    if name in ("xlogy", "xlog1py") and len(operands) == 2:
        return 1, "below its domain", operands[1] < (0 if name == "xlogy" else -1)
    if name in _OUTSIDE and operands:
        words, where = _OUTSIDE[name]
        return 0, words, where(operands[0])
    return None
