"""Measurements at the ends of the range of a dtype."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.elements import finite_operands, largest_magnitude
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.expressions import OutOfRange
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Op
from stayfinite.graph.literals import numbers_in
from stayfinite.numerics import dtypes
from stayfinite.numerics.functions import row

# A product of a few numbers of this part of the range, in digits, is still inside it.
_SAFE_DIGITS = 0.4


@dataclass(frozen=True)
class RangeExceeded:
    """The results of the root are past the range of their dtype, for the operand `position`."""

    op: Op
    position: int
    samples: tuple[int, ...] | None
    facts: OutOfRange


def _left_range(evidence: Evidence) -> Op | None:
    """The root, or the forward op where the root is its derivative and reads its infinity."""
    op, primal = evidence.op, evidence.primal
    if op is None or primal is None or op.phase != "backward":
        return op
    return primal if evidence.bad(primal.results[0]).any() else op


def exceeded(evidence: Evidence) -> RangeExceeded | None:
    """The root left the range with finite operands, and no pole did it."""
    op = _left_range(evidence)
    if op is None or not op.operands or not finite_operands(evidence, op):
        return None
    function = row(op.name)
    shrinks = len(op.operands) == 1 and function.growth is None
    # A function of one number that does not grow is infinite at a pole, or next to it.
    if shrinks and not function.has_pole:
        return None
    result = as_float(evidence.results_of(op))
    bad = np.isinf(result)
    if not bad.any():
        # Two parts of a sum that are past the range with different signs.
        bad = np.isnan(result)
        if not bad.any() or not _terms_may_exceed(evidence, op):
            return None
    if op.name == "divide" and not as_float(evidence.operand(op, 1))[bad].all():
        return None
    if shrinks and function.pole is not None:
        beside = as_float(evidence.operand(op, 0))
        if beside.shape != bad.shape or (beside[bad] == function.pole.at).any():
            return None
    position = int(np.argmax([largest_magnitude(evidence.values[v]) for v in op.operands]))
    critical = as_float(evidence.operand(op, position))
    # Operands of a product have shapes of their own.
    at_fault = critical[bad] if critical.shape == bad.shape else np.ravel(critical)
    dtype = evidence.dtype(op.results[0])
    sizes = np.abs(at_fault)
    facts = OutOfRange(
        worst=float(at_fault[np.argmin(sizes) if shrinks else np.argmax(sizes)]),
        dtype=dtype,
        largest=dtypes.largest(dtype),
        num_bad=int(bad.sum()),
        size=bad.size,
    )
    return RangeExceeded(op, position, evidence.samples(op.results[0], bad), facts)


def _terms_may_exceed(evidence: Evidence, op: Op) -> bool:
    """Whether a product of the operands, summed up, could leave the range."""
    arrays = [evidence.values[v] for v in op.operands]
    sizes = sorted((largest_magnitude(array) for array in arrays), reverse=True)
    product = sizes[0] * (sizes[1] if len(sizes) > 1 else sizes[0])
    terms = max(array.size for array in arrays)
    return bool(product * terms > dtypes.largest(evidence.dtype(op.results[0])))


def fits_float32(evidence: Evidence, op: Op) -> bool:
    """Whether the result of `op`, past the range of its half-precision dtype, fits float32."""
    function, limit = row(op.name), dtypes.largest("float32")
    operands = [as_float(evidence.values[v]).astype(np.float64) for v in op.operands]
    if function.inverse is not None:
        return bool(np.max(operands[0], initial=0.0) < function.inverse(limit))
    if op.name == "power" and len(operands) == 2:
        with np.errstate(all="ignore"):
            powers = np.abs(operands[0]) ** operands[1]
        return bool(np.max(powers, initial=0.0) < limit)
    if op.name in ("divide", "reciprocal", "rsqrt"):
        divisors = np.abs(operands[-1])
        smallest = np.min(divisors, where=divisors > 0, initial=np.inf)
        return bool(np.max(np.abs(operands[0]), initial=1.0) / smallest < limit)
    if op.name in ("cumprod", "prod"):
        return evidence.finite_wider()
    # Sums and products of numbers that float16 holds are far inside the range of float32; the
    # range of bfloat16 is that of float32 itself.
    largest = max((float(np.max(operand, initial=0.0)) for operand in operands), default=0.0)
    return bool(largest < limit**_SAFE_DIGITS)


def literal_out_of_range(evidence: Evidence, op: Op) -> float | None:
    """The finite number in the expression of `op` that its half-precision dtype cannot hold."""
    dtype = evidence.dtype(op.results[0])
    if dtype not in dtypes.HALF:
        return None
    largest = dtypes.largest(dtype)
    written = numbers_in(op.span)
    return next((n for n in written if largest < abs(n) < dtypes.largest("float32")), None)
