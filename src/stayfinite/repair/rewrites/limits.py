"""The numbers that guards use, by dtype.

Each is chosen so that the guarded value and its first derivative stay far inside the range of the
dtype, and so that ordinary values are not touched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds as they are printed.

    Args:
        radicand: lower bound under a square root; the root of it is the distance that is lost.
        logarithm: lower bound inside `log`.
        divisor: lower bound of a divisor.
        margin: how far to stay from 1, a few units in the last place there.
        exponent: upper bound inside `exp`, with room for a sum of many.
        magnitude: the decimal logarithm of a value that is large, but not nearly too large.
    """

    radicand: str
    logarithm: str
    divisor: str
    margin: str
    exponent: str
    magnitude: float


_FLOAT32 = Limits("1e-12", "1e-7", "1e-7", "1e-6", "80.0", 36.0)
_LIMITS = {
    "float64": Limits("1e-12", "1e-12", "1e-12", "1e-12", "700.0", 300.0),
    "float32": _FLOAT32,
    # As float32 in range, with 8 bits of precision.
    "bfloat16": Limits("1e-12", "1e-7", "1e-7", "1e-2", "80.0", 36.0),
    # The smallest normal number is 6.1e-5. Below it only sqrt is still exact enough.
    "float16": Limits("1e-6", "1e-4", "1e-4", "1e-3", "10.0", 4.5),
}


def limits(dtype: str) -> Limits:
    """The bounds for `dtype`; those of float32 for a dtype that is not known."""
    return _LIMITS.get(dtype, _FLOAT32)


def radicand(dtype: str, exponent: float) -> str:
    """The lower bound of `x` in `x ** exponent`, so that the power of it is about 1e-6."""
    known = limits(dtype)
    if dtype == "float16" or exponent >= 0.5:
        return known.radicand
    return f"1e-{min(math.ceil(6 / exponent), 30)}"


def power_bound(dtype: str, exponent: float) -> str:
    """The largest magnitude of `x` for which `x ** exponent` is surely finite."""
    digits = limits(dtype).magnitude / exponent
    return f"1e{int(digits)}" if digits >= 3 else f"{math.floor(10**digits)}.0"


def limits_exponent(dtype: str, base: float) -> str:
    """The largest `x` for which `base ** x` is surely finite."""
    return f"{math.floor(limits(dtype).magnitude / math.log10(base))}.0"
