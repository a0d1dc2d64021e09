"""Whether a product throws a non-finite value away: 0 * inf, where the 0 is a mask.

The one-hot labels of a cross entropy are zeros and ones as well, but nobody means to hide the
logarithm with them; a mask comes from a comparison, or came in beside the data.
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.booleans import COMPARISONS, LOGICAL
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.graph.graph import Op
from stayfinite.graph.walk import STRUCTURAL, depends_on, unwrapped

# Between the value and its product with the mask, element by element.
_PASSES_ON = STRUCTURAL | {
    "negative",
    "add",
    "subtract",
    "square",
    "power",
    "abs",
    "absolute",
    "exp",
}
_MAX_STEPS = 6


def masked_by_product(evidence: Evidence, op: Op) -> bool:
    """Whether a mask is 0 wherever the result of `op`, or what was made of it, is not finite."""
    if op.name == "multiply" and _zero_times_infinity(evidence, op):
        return True
    frontier = [op.results[0]]
    for _ in range(_MAX_STEPS):
        consumers = [c for v in frontier for c in evidence.trace.consumers.get(v, [])]
        frontier = []
        for consumer in consumers:
            if consumer.phase == "backward":
                continue
            if (
                consumer.name == "multiply"
                and len(consumer.operands) == 2
                and _masks(evidence, consumer, op)
            ):
                return True
            if consumer.name in _PASSES_ON or consumer.name == "multiply":
                frontier.append(consumer.results[0])
    return False


def _zero_times_infinity(evidence: Evidence, op: Op) -> bool:
    """`(1 - mask) * -inf`, written to mask: one operand is an infinity, the other 0 there."""
    left, right = (as_float(evidence.operand(op, position)) for position in (0, 1))
    if left.shape != right.shape:
        return False
    return bool(((left == 0) & np.isinf(right) | (right == 0) & np.isinf(left)).any())


def _masks(evidence: Evidence, product: Op, op: Op) -> bool:
    factors = [_factors(evidence, value) for value in product.operands]
    # All at once: each time it is asked costs a run of the step.
    arrays = evidence.fetch([*factors[0], *factors[1], product.results[0]])
    shape = arrays[product.results[0]].shape
    for position in (0, 1):
        bad = ~np.isfinite(as_float(arrays[product.operands[position]]))
        if not bad.any():
            continue
        for mask in dict.fromkeys(factors[1 - position]):
            factor = as_float(arrays[mask])
            try:
                zero = np.broadcast_to(factor, shape)[np.broadcast_to(bad, shape)] == 0
            except ValueError:
                continue
            if zero.all() and _is_mask(evidence, mask) and not _is_made_of(evidence, op, mask):
                return True
    return False


def _factors(evidence: Evidence, value: int) -> list[int]:
    """`value`, and what it is a product of: a mask may have been multiplied with weights before."""
    trace = evidence.trace
    found = [value]
    for factor in found:
        made_by = trace.producer.get(unwrapped(trace, factor, STRUCTURAL))
        if made_by is not None and made_by.name == "multiply" and len(found) < _MAX_STEPS:
            found += made_by.operands
    return found


def _is_made_of(evidence: Evidence, op: Op, mask: int) -> bool:
    """Whether `op` failed for the zeros of the mask itself, as a degree of an adjacency matrix.

    Nobody means to hide `1 / sum(mask)` by the mask: the division is the mistake.
    """
    source = unwrapped(evidence.trace, mask, STRUCTURAL - {"slice"})
    leaves = [leaf.value for v in op.operands for leaf in evidence.trace.leaves_of(v)]
    return source in leaves


def _is_mask(evidence: Evidence, value: int) -> bool:
    trace = evidence.trace
    sliced = False
    for _ in range(_MAX_STEPS):
        source = unwrapped(trace, value, STRUCTURAL - {"slice"})
        made_by = trace.producer.get(source)
        if made_by is None:
            leaf = trace.leaves.get(source)
            # A mask may be packed into the targets, as a part of them.
            return leaf is not None and (leaf.role in ("input", "sample_weight") or sliced)
        if made_by.name in LOGICAL:
            return True
        if made_by.name in COMPARISONS:
            return _with_one_number(evidence, made_by)
        if made_by.name in ("slice", "gather"):
            sliced = True
        elif not _complements(evidence, made_by):
            return not depends_on(trace, source, "weight", "target") and _is_binary(
                evidence, source
            )
        value = _varying(evidence, made_by)
    return False


def _is_binary(evidence: Evidence, value: int) -> bool:
    return bool(np.isin(as_float(evidence.fetch([value])[value]), (0.0, 1.0)).all())


def _with_one_number(evidence: Evidence, comparison: Op) -> bool:
    """`x > 0` and not `labels == arange(classes)`, which is one-hot."""
    for value in comparison.operands:
        array = evidence.trace.constants.get(unwrapped(evidence.trace, value, STRUCTURAL))
        if array is not None and array.size and bool((array == array.flat[0]).all()):
            return True
    return False


def _complements(evidence: Evidence, op: Op) -> bool:
    """`1 - mask`, `mask * 1.0`: a number and the mask."""
    if op.name not in ("subtract", "multiply"):
        return False
    constants = evidence.trace.constants
    return any(unwrapped(evidence.trace, v, STRUCTURAL) in constants for v in op.operands)


def _varying(evidence: Evidence, op: Op) -> int:
    constants = evidence.trace.constants
    varying = [v for v in op.operands if unwrapped(evidence.trace, v, STRUCTURAL) not in constants]
    return varying[0] if varying else op.operands[0]
