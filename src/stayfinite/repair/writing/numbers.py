"""Numbers as a maintainer writes them: `1 / 16`, `math.log(2.0)`."""

from __future__ import annotations

import math
from fractions import Fraction

from stayfinite.repair.writing.text import ATOM, PRODUCT, SIGN, Text


def plain_number(value: object) -> Text:
    """A number, as a fraction where it is a short one."""
    if isinstance(value, int):
        return Text(repr(value), ATOM if value >= 0 else SIGN)
    assert isinstance(value, float)
    if math.isinf(value) or math.isnan(value):
        return Text(f'float("{value}")', ATOM)
    short = f"{value:.9g}"
    near = Fraction(value).limit_denominator(64)
    if len(short) > 7 and near.numerator / near.denominator == value:
        return Text(f"{near.numerator} / {near.denominator}", PRODUCT)
    text = short if any(c in short for c in ".en") else f"{short}.0"
    return Text(text, ATOM if value >= 0 else SIGN)


def closed_form(value: float, module: str) -> Text | None:
    """A logarithm or a root of a short number, or what stands before a normal density."""
    tau = f"2.0 * {module}.pi"
    for wanted, text, level in (
        (math.pi, f"{module}.pi", ATOM),
        (math.tau, tau, PRODUCT),
        (math.log(math.tau), f"{module}.log({tau})", ATOM),
        (0.5 * math.log(math.tau), f"0.5 * {module}.log({tau})", PRODUCT),
        (math.sqrt(math.tau), f"{module}.sqrt({tau})", ATOM),
    ):
        if math.isclose(value, wanted, rel_tol=1e-15):
            return Text(text, level)
    if value < 20:
        for sign in (1, -1):
            inner = float(f"{math.exp(sign * value):.6g}")
            short = len(f"{inner:g}") <= 4 and inner > 0
            if short and math.isclose(sign * math.log(inner), value, rel_tol=1e-15):
                text = f"{module}.log({plain_number(inner).text})"
                return Text(text if sign > 0 else f"-{text}", ATOM if sign > 0 else SIGN)
    square = float(f"{value * value:.6g}")
    if len(f"{square:g}") <= 4 and math.isclose(math.sqrt(square), value, rel_tol=1e-15):
        return Text(f"{module}.sqrt({plain_number(square).text})", ATOM)
    return None
