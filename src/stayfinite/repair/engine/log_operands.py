"""What is known of the operands of a logarithm: their sign, masks, one-hot rows."""

from __future__ import annotations

import math

import numpy as np

from stayfinite.numerics.exact_functions import COMPARISONS
from stayfinite.repair.engine import build
from stayfinite.repair.engine.build import number
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.evaluate import to_float64
from stayfinite.repair.engine.problem import Assumption
from stayfinite.repair.engine.samples import is_recorded_mask
from stayfinite.repair.formula import LeafRole, Node, walk

# Operations through which a logarithm moves inwards, with the operands that it enters.
MOVES = {
    **dict.fromkeys((*build.MOVES_FIRST, "max", "min"), (0,)),
    **{"where": (1, 2), "maximum": (0, 1), "minimum": (0, 1)},
}
# Operations that are not below 0 where no operand is.
KEEPS_SIGN = frozenset("add concatenate cumprod cumsum divide mean multiply prod stack sum".split())
# Operations that are 0 or 1 where all operands are.
KEEPS_MASK = frozenset({*build.MOVES_FIRST, "cast", "multiply"})


class Domain:
    """Which formulas have a logarithm.

    Attributes:
        trusting: Whether leaves that were recorded as positive count as such.
        assumptions: What was taken for granted by that, so far.
    """

    def __init__(self, context: Context, trusting: bool) -> None:
        self.context = context
        self.signs = context.signs
        self.trusting = trusting
        self.assumptions: list[Assumption] = []

    def non_negative(self, x: Node) -> bool:
        """Proved not to be below 0, or so if what was recorded as positive always is."""
        if self.signs.non_negative(x):
            return True
        found = self._assumed(x) if self.trusting else None
        self.assumptions += found or []
        return found is not None

    def _assumed(self, x: Node) -> list[Assumption] | None:
        """What has to be positive for `x` not to be below 0; None if that was not so."""
        if self.signs.non_negative(x):
            return []
        if x.op in KEEPS_SIGN or x.op in MOVES:
            moved = MOVES.get(x.op, range(len(x.operands)))
            parts = [self._assumed(x.operands[i]) for i in moved]
            if all(part is not None for part in parts):
                return [each for part in parts for each in part or []]
        low = to_float64(self.context.floating.value(x)).min(initial=math.inf)
        if low > 0:
            return [Assumption(x, "positive")]
        masks = self.masks(x)
        if masks is not None:
            return [Assumption(mask, "0 or 1") for mask in masks]
        # The logarithm of 0 is right for what has no gradient, as weights of samples.
        is_given = x.op == "leaf" and x.attribute("role") is LeafRole.DATA
        return [Assumption(x, "non-negative")] if low == 0 and is_given else None

    def masks(self, x: Node) -> list[Node] | None:
        """The leaves that have to be 0 or 1 for `x` to be so; None where that is not enough."""
        if x.op == "leaf":
            if x.attribute("role") is LeafRole.MASK:
                return []
            return [x] if is_recorded_mask(x, self.context.problem.values[x]) else None
        if x.op in COMPARISONS:
            return []
        operands = x.operands
        if x.op == "subtract" and number(operands[0]) == 1:
            operands = operands[1:]
        elif x.op not in KEEPS_MASK:
            return None
        parts = [self.masks(operand) for operand in operands]
        if any(part is None for part in parts):
            return None
        return [each for part in parts for each in part or []]

    def is_one_hot(self, x: Node, beside: Node, axis: object) -> bool:
        """Whether the recorded values are 1 at one place of `axis` and 0 elsewhere.

        Args:
            x: The formula.
            beside: What it is multiplied with, which gives it more axes.
            axis: The axis.
        """
        if not any(part.op == "leaf" for part in walk(x)):
            return False
        if any(
            part.op == "leaf" and part.attribute("role") is LeafRole.VARIABLE for part in walk(x)
        ):
            return False
        shape = np.broadcast_shapes(self.context.shape(x), self.context.shape(beside))
        values = np.broadcast_to(to_float64(self.context.floating.value(x)), shape)
        binary = np.isin(values, (0.0, 1.0)).all()
        return bool(binary and (values.sum(axis=axis) == 1).all())  # type: ignore[call-overload]
