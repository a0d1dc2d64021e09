"""Whether a small number that keeps an operand away from a pole was lost to rounding."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.expressions import (
    EpsilonAbsorbed,
    EpsilonLostInConstant,
    EpsilonRoundedTo0,
    LostEpsilon,
    OneMinusEpsilonIs1,
)
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Op, Span
from stayfinite.graph.literals import numbers_in
from stayfinite.graph.walk import unwrapped, upstream
from stayfinite.numerics import dtypes
from stayfinite.numerics.functions import STRUCTURAL

# Ops upstream of the operand that are searched. An epsilon farther away protects another op.
_NEAR = 8
_SUMS = ("add", "subtract")
_CLAMPS = ("maximum", "minimum", "clip")
_THROUGH = {*_SUMS, *_CLAMPS, "sqrt", "multiply", "negative", "absolute"}
_SMALL = 1e-3


def lost(evidence: Evidence, value: int, where: np.ndarray) -> LostEpsilon | None:
    """The epsilon on the way to `value` that had no effect on its elements under `where`."""
    near = _near(evidence, value)
    # Sums are compared before and after, so these are fetched together.
    sums = [op for op in near if op.name in _SUMS]
    evidence.values.load(v for op in sums for v in (*op.operands, op.results[0]))
    return next((found for op in near if (found := _lost_at(evidence, op, where))), None)


def _near(evidence: Evidence, value: int) -> list[Op]:
    found: list[Op] = []
    for op in upstream(evidence.trace, value, max_ops=4 * _NEAR):
        if op.name in STRUCTURAL:
            continue
        if op.name not in _THROUGH or len(found) > _NEAR:
            break
        found.append(op)
    return [op for op in found if op.name in (*_SUMS, *_CLAMPS)]


def _lost_at(evidence: Evidence, op: Op, where: np.ndarray) -> LostEpsilon | None:
    dtype = evidence.dtype(op.results[0])
    written = smallest_literal(op.span)
    for position in range(len(op.operands)):
        constant = _constant(evidence, op.operands[position])
        if constant is None:
            continue
        if op.name in ("clip", "minimum") and constant == 1.0 and _is_mirrored(evidence, op):
            return OneMinusEpsilonIs1(dtype)
        if constant == 0.0 and _was_epsilon(op, dtype, written):
            return EpsilonRoundedTo0(written, dtype)
        if op.name in _SUMS and len(op.operands) == 2:
            other = op.operands[1 - position]
            if 0 < abs(constant) <= _SMALL and _is_absorbed(evidence, op, other, where):
                return EpsilonAbsorbed(abs(constant), dtype)
            if abs(constant) > _SMALL and written is not None and _is_rounded(constant, written):
                return EpsilonLostInConstant(abs(constant), written, dtype)
    return None


def _was_epsilon(op: Op, dtype: str, written: float | None) -> bool:
    """Whether a constant that is 0 was an epsilon; `maximum(x, 0)` is a relu."""
    if op.name == "subtract":
        return False
    if written is not None:
        # Other numbers of the expression, such as a learning rate, do not become 0.
        return written < dtypes.smallest(dtype)
    return dtype in dtypes.HALF and op.name not in ("maximum", "clip")


def _constant(evidence: Evidence, value: int) -> float | None:
    """The number that a constant operand is everywhere; None for other operands."""
    source = unwrapped(evidence.trace, value, STRUCTURAL)
    array = evidence.trace.constants.get(source)
    if array is None or not array.size or array.dtype.kind not in "fiuV":
        return None
    # A cast upstream may round 0.9999999 to 1.
    rounded = dtypes.rounded(as_float(array), evidence.dtype(value))
    wide = as_float(rounded).astype(np.float64)
    first = float(wide.flat[0])
    return first if bool((wide == first).all()) else None


def _is_absorbed(evidence: Evidence, op: Op, other: int, where: np.ndarray) -> bool:
    before, after = as_float(evidence.values[other]), as_float(evidence.results_of(op))
    if before.shape != after.shape:
        return False
    same = (before == after) & (after != 0)
    return bool(same[where].any()) if same.shape == where.shape else bool(same.any())


def _is_rounded(constant: float, written: float) -> bool:
    """Whether `constant` may be a round number plus `written`, which rounding removed."""
    return constant == round(constant, 2) and written < 1e-6 * abs(constant)


def _is_mirrored(evidence: Evidence, op: Op) -> bool:
    """Whether rounding removed the upper bound of a clip to `[eps, 1 - eps]`, and not the lower."""
    trace = evidence.trace
    # A clip is one op, or a minimum and a maximum in either order.
    beside = [trace.producer.get(v) for v in op.operands] + trace.consumers.get(op.results[0], [])
    operands = [o for other in beside if other and other.name == "maximum" for o in other.operands]
    lower = [_constant(evidence, v) for v in (*op.operands, *operands)]
    dtype = evidence.dtype(op.results[0])
    # In float32, 1 - 1e-7 is not 1: there a bound of 1 beside 1e-7 was written so.
    return any(c is not None and 0 < c <= _SMALL and _is_one(1.0 - c, dtype) for c in lower)


def _is_one(number: float, dtype: str) -> bool:
    return bool((as_float(dtypes.rounded(np.asarray(number), dtype)) == 1.0).all())


def smallest_literal(span: Span | None) -> float | None:
    """The smallest number in (0, 1e-3] in the expression, written there or under a name."""
    found = [number for number in numbers_in(span) if 0 < number <= _SMALL]
    return min(found, default=None)
