"""The small number that an author adds to keep an operand off a pole, and whether it vanished."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose import numbers
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.graph.graph import Op, Span
from stayfinite.graph.source import numbers_in
from stayfinite.graph.walk import STRUCTURAL, unwrapped, upstream
from stayfinite.numerics import dtypes

# How far above the operand a guard is looked for. One that is farther away guards something else.
_NEAR = 8
_GUARDS = ("add", "subtract", "maximum", "minimum", "clip")
_THROUGH = {*_GUARDS, "sqrt", "multiply", "negative", "abs"}
_SMALL = 1e-3


@dataclass(frozen=True)
class Vanished:
    """`words` says what became of the guard."""

    words: str


def vanished(evidence: Evidence, value: int, where: np.ndarray) -> Vanished | None:
    """Whether a guard epsilon on the way to `value` had no effect on its elements under `where`."""
    visited = 0
    for op in upstream(evidence.trace, value, max_ops=4 * _NEAR):
        if op.name in STRUCTURAL:
            continue
        if op.name not in _THROUGH or visited > _NEAR:
            break
        visited += 1
        found = _of(evidence, op, where)
        if found is not None:
            return found
    return None


def _of(evidence: Evidence, op: Op, where: np.ndarray) -> Vanished | None:
    if op.name not in _GUARDS:
        return None
    dtype = evidence.trace.values[op.results[0]].dtype
    for position in range(len(op.operands)):
        constant = _constant(evidence, op.operands[position])
        if constant is None:
            continue
        if op.name in ("clip", "minimum") and constant == 1.0 and _mirrored(evidence, op):
            return Vanished(f"1 less that epsilon is 1 in {dtype}")
        written = smallest_literal(op.span)
        if (
            constant == 0.0
            and (dtype in dtypes.HALF or written is not None)
            and op.name != "subtract"
        ):
            shown = "the guard" if written is None else numbers.short(written)
            if written is None and op.name in ("maximum", "clip"):
                continue  # `maximum(x, 0)` is a relu
            return Vanished(f"{shown} is 0 in {dtype}")
        if op.name in ("add", "subtract") and len(op.operands) == 2:
            other = op.operands[1 - position]
            if 0 < abs(constant) <= _SMALL and _absorbed(evidence, op, other, where):
                return Vanished(f"{numbers.short(abs(constant))} is absorbed in {dtype}")
            if abs(constant) > _SMALL and written is not None and _is_rounded(constant, written):
                whole = numbers.short(abs(constant))
                return Vanished(f"{whole} + {numbers.short(written)} is {whole} in {dtype}")
    return None


def _constant(evidence: Evidence, value: int) -> float | None:
    """The number that a constant operand is everywhere; None for other operands."""
    source = unwrapped(evidence.trace, value, STRUCTURAL)
    array = evidence.trace.constants.get(source)
    if array is None or not array.size or array.dtype.kind not in "fiuV":
        return None
    # A cast on the way may round 0.9999999 to 1.
    rounded = dtypes.rounded(as_float(array), evidence.trace.values[value].dtype)
    wide = as_float(rounded).astype(np.float64)
    first = float(wide.flat[0])
    return first if bool((wide == first).all()) else None


def _absorbed(evidence: Evidence, op: Op, other: int, where: np.ndarray) -> bool:
    arrays = evidence.fetch([other, op.results[0]])
    before, after = as_float(arrays[other]), as_float(arrays[op.results[0]])
    if before.shape != after.shape:
        return False
    same = (before == after) & (after != 0)
    return bool(same[where].any()) if same.shape == where.shape else bool(same.any())


def _is_rounded(constant: float, written: float) -> bool:
    """Whether `constant` is a round number to which `written` may have been added in vain."""
    return constant == round(constant, 2) and written < 1e-6 * abs(constant)


def _mirrored(evidence: Evidence, op: Op) -> bool:
    """Whether a clip to `[eps, 1 - eps]` has lost its upper end, and keeps its lower one."""
    trace = evidence.trace
    # A clip is one op, or a minimum and a maximum in either order.
    beside = [trace.producer.get(v) for v in op.operands] + trace.consumers.get(op.results[0], [])
    operands = [o for other in beside if other and other.name == "maximum" for o in other.operands]
    lower = [_constant(evidence, v) for v in (*op.operands, *operands)]
    return any(c is not None and 0 < c <= _SMALL for c in lower)


def smallest_literal(span: Span | None) -> float | None:
    """The smallest number in (0, 1e-3] in the expression, written there or under a name."""
    found = [number for number in numbers_in(span) if 0 < number <= _SMALL]
    return min(found, default=None)
