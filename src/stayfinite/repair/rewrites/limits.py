"""The numbers that guards use, by dtype.

Each is chosen so that the guarded value and its first derivative stay far inside the range of the
dtype, and so that ordinary values are not touched. Where a function leaves the range follows from
its row in `numerics.functions` and the largest number of the dtype.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stayfinite.numerics import functions
from stayfinite.numerics.dtypes import largest

_DTYPES = ("float64", "float32", "bfloat16", "float16")
# How much of the exponent of the largest number is used: the rest is room for a sum of many.
_SHARE = 0.935
_SHARE_OF_OPERAND = 0.91


@dataclass(frozen=True)
class Limits:
    """Bounds as they are printed.

    Args:
        radicand: lower bound under a square root; the root of it is the distance that is lost.
        logarithm: lower bound inside `log`.
        divisor: lower bound of a divisor.
        margin: how far to stay from 1, a few units in the last place there.
        lowest: a lower bound for data whose ordinary values are below the usual one.
        score: the magnitude of a mask that softmax makes 0 of.
    """

    radicand: str
    logarithm: str
    divisor: str
    margin: str
    lowest: str
    score: str = "1e9"


_LIMITS = {
    "float64": Limits("1e-12", "1e-12", "1e-12", "1e-12", "1e-100"),
    "float32": Limits("1e-12", "1e-7", "1e-7", "1e-6", "1e-20"),
    # As float32 in range, with 8 bits of precision.
    "bfloat16": Limits("1e-12", "1e-7", "1e-7", "1e-2", "1e-20"),
    # The smallest normal number is 6.1e-5, below it only sqrt is still exact enough; the largest
    # is 65504, so a divisor below 4e-3 has an infinite derivative.
    "float16": Limits("1e-6", "1e-4", "1e-2", "1e-3", "1e-4", "3e4"),
}


def limits(dtype: str) -> Limits:
    """The bounds for `dtype`; those of float32 for a dtype that is not known."""
    return _LIMITS[_known(dtype)]


def ceiling(dtype: str, function: str) -> float | None:
    """The largest operand of a steep function of one operand; None for any other function."""
    inverse = functions.row(function).inverse
    return None if inverse is None else math.floor(_SHARE_OF_OPERAND * inverse(_largest(dtype)))


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
    return f"1e-{min(wanted, int(_magnitude(dtype) / (1 - exponent)), 30)}"


def power_ceiling(dtype: str, exponent: float) -> str:
    """The largest magnitude of `x` for which `x ** exponent` is surely finite."""
    digits = _magnitude(dtype) / exponent
    return f"1e{int(digits)}" if digits >= 3 else f"{math.floor(10**digits)}.0"


def _known(dtype: str) -> str:
    return dtype if dtype in _DTYPES else "float32"


def _largest(dtype: str) -> float:
    return largest(_known(dtype))


def _magnitude(dtype: str) -> float:
    """The decimal logarithm of a value that is large, but not nearly too large."""
    return _SHARE * math.log10(_largest(dtype))


def _digits(bound: str) -> int:
    """12 for "1e-12"."""
    return int(bound.partition("e-")[2])
