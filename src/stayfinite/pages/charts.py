"""Lines over a common axis as SVG paths, and numbers as shades of a heat map."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

# The drawing area of a panel in its own units. The page stretches it, so no text stands in it.
WIDTH, HEIGHT = 1000.0, 100.0
# So much of the height stays free above and below.
_MARGIN = 6.0
# From this ratio of the largest to the smallest value on, an axis is logarithmic.
_LOG_FROM = 50.0
SHADES = 8

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`; a logarithmic one shows values above 0 only."""

    low: float
    high: float
    is_log: bool = False

    def share(self, value: float) -> float | None:
        """The place of `value`, 0 at the low and 1 at the high end; None where it has none."""
        if not math.isfinite(value) or (self.is_log and value <= 0):
            return None
        low, high = (math.log(end) if self.is_log else end for end in (self.low, self.high))
        at = math.log(value) if self.is_log else value
        return 0.5 if high <= low else min(1.0, max(0.0, (at - low) / (high - low)))


def axis_of(values: Iterable[float]) -> Axis | None:
    """An axis for the finite ones of `values`; None where there is none."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    return Axis(low, high, is_log=low > 0 and high / low > _LOG_FROM)


def line(points: Sequence[Point], across: Axis, up: Axis) -> Markup:
    """The path through `points`; it is broken where a value has no place."""
    parts, pen = [], "M"
    for x, y in points:
        place = _place(x, y, across, up)
        parts.append("" if place is None else f"{pen}{place}")
        pen = "M" if place is None else "L"
    return Markup("").join(parts)


def dots(points: Sequence[Point], across: Axis, up: Axis) -> Markup:
    """A path of lines without length, which a round end makes dots."""
    places = [_place(x, y, across, up) for x, y in points]
    return Markup("").join(f"M{place}h0" for place in places if place is not None)


def upright(x: float, across: Axis) -> str:
    """The path of a line over the whole height."""
    return f"M{(across.share(x) or 0.0) * WIDTH:.1f} 0V{HEIGHT:.0f}"


def _place(x: float, y: float, across: Axis, up: Axis) -> str | None:
    right, above = across.share(x), up.share(y)
    if right is None or above is None:
        return None
    return f"{right * WIDTH:.1f} {HEIGHT - _MARGIN - above * (HEIGHT - 2 * _MARGIN):.1f}"


def shade(value: float, scale: Axis | None) -> str:
    """The shade of a number: `0` to `7` on a logarithmic scale, `x` where it is not finite."""
    if not math.isfinite(value):
        return "x"
    share = None if scale is None else scale.share(value)
    return "0" if share is None else str(min(SHADES - 1, int(share * SHADES)))


def shades_of(values: Iterable[float]) -> Axis | None:
    """A logarithmic scale over the finite values above 0; None where there is none."""
    found = [value for value in values if math.isfinite(value) and value > 0]
    return Axis(min(found), max(found), is_log=True) if found else None
