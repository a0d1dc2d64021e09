"""Comparisons with a number that is only met by rounding, in programs that XLA compiles.

XLA computes a value again where it is read, and may round it differently in each place. A variance
that is 0 for `equal` may then be 1e-17 for the root next to it, or the other way round. A number
above all roundings, in the place of 0, has both on the same side.
"""

from __future__ import annotations

import math

import numpy as np

from stayfinite.repair.engine import build
from stayfinite.repair.engine.build import real
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.evaluate import BadFormula, to_float64
from stayfinite.repair.formula import Node, node, walk

# The roundings of operands stand for those of all operations, to this factor.
_SAFETY = 4.0
# A wider neighbourhood of the point holds numbers that are meant.
_MAX_WIDTH = 1e-3


def near_point(context: Context, x: Node, point: float, is_above: bool) -> Node | None:
    """Whether `x` is at `point` but for roundings; None where no rounding moves it from there.

    With `is_above` the function of `x` is defined above the point, else below it.
    """
    noise = _noise(context, x, point)
    if noise == 0.0:
        return None
    # Later steps have other operands; squares of their roundings are this far from 0.
    largest = float(np.abs(to_float64(context.floating.value(x))).max(initial=0.0))
    noise = max(noise, context.spacing**2 * largest)
    width = 10.0 ** math.ceil(math.log10(_SAFETY * noise))
    if width > _MAX_WIDTH:
        return None
    if is_above:
        return node("less", x, real(point + width))
    return node("greater", x, real(point - width))


def compares_rounded(context: Context, root: Node) -> bool:
    """Whether a formula compares with `equal` what roundings move."""
    for x in walk(root):
        if x.op != "equal":
            continue
        point = build.number(x.operands[1])
        if point is not None and _noise(context, x.operands[0], point) > 0.0:
            return True
    return False


def _noise(context: Context, x: Node, point: float) -> float:
    """How far roundings move `x` from `point`, where it is there."""
    if context.problem.framework == "torch":
        return 0.0  # each value is computed once
    try:
        at_point = to_float64(context.floating.value(x)) == point
        moved = [to_float64(e.value(x)) for e in context.neighbours]
    except BadFormula:
        return 0.0
    gaps = [np.abs(each - point)[at_point] for each in moved if each.shape == at_point.shape]
    return max((float(gap[np.isfinite(gap)].max(initial=0.0)) for gap in gaps), default=0.0)
