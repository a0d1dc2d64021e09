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
        lowest: a lower bound for data whose ordinary values are below the usual one.
    """

    radicand: str
    logarithm: str
    divisor: str
    margin: str
    exponent: str
    magnitude: float
    lowest: str


_FLOAT32 = Limits("1e-12", "1e-7", "1e-7", "1e-6", "80.0", 36.0, "1e-20")
_LIMITS = {
    "float64": Limits("1e-12", "1e-12", "1e-12", "1e-12", "700.0", 300.0, "1e-100"),
    "float32": _FLOAT32,
    # As float32 in range, with 8 bits of precision.
    "bfloat16": Limits("1e-12", "1e-7", "1e-7", "1e-2", "80.0", 36.0, "1e-20"),
    # The smallest normal number is 6.1e-5, below it only sqrt is still exact enough; the largest
    # is 65504, so a divisor below 4e-3 has an infinite derivative.
    "float16": Limits("1e-6", "1e-4", "1e-2", "1e-3", "10.0", 4.5, "1e-4"),
}


def limits(dtype: str) -> Limits:
    """The bounds for `dtype`; those of float32 for a dtype that is not known."""
    return _LIMITS.get(dtype, _FLOAT32)


def power_floor(dtype: str, exponent: float) -> str:
    """The lower bound of `x` in `x ** exponent`, for an exponent below 1.

    A root of the bound is about 1e-6. The derivative at the bound, which the guard multiplies by
    0, is still finite.
    """
    known = limits(dtype)
    if exponent > 0:
        wanted = _digits(known.radicand) if dtype == "float16" else max(12, math.ceil(6 / exponent))
    else:
        wanted = _digits(known.radicand if exponent == -0.5 else known.divisor)
    return f"1e-{min(wanted, int(known.magnitude / (1 - exponent)), 30)}"


def power_ceiling(dtype: str, exponent: float) -> str:
    """The largest magnitude of `x` for which `x ** exponent` is surely finite."""
    digits = limits(dtype).magnitude / exponent
    return f"1e{int(digits)}" if digits >= 3 else f"{math.floor(10**digits)}.0"


def _digits(bound: str) -> int:
    """12 for "1e-12"."""
    return int(bound.partition("e-")[2])
