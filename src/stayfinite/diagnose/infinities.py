"""Infinities that were meant, and the op at which they turned into a NaN.

A mask puts -inf where a softmax shall not look, and the logarithm of 0 is -inf by design in
log-space models. Such a value is a fault only where the next ops cannot take it.
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.graph.graph import Op

_MAX_STEPS = 16
_MAX_CONSUMERS = 40


def is_meant(evidence: Evidence) -> bool:
    """Whether the root only passes on an infinity that is written in the code or in the batch."""
    op, leaf = evidence.op, evidence.leaf
    if leaf is not None:
        array = as_float(evidence.arrays[leaf.value])
        bad = array[~np.isfinite(array)]
        return leaf.role in ("input", "target", "sample_weight") and bool(np.isneginf(bad).all())
    if op is None or op.phase == "backward":
        return False
    constants = [v for v in op.operands if v in evidence.trace.constants]
    written = any(not np.isfinite(as_float(evidence.arrays[v])).all() for v in constants)
    return (written and not is_scaled_by_infinity(evidence, op)) or not op.operands


def is_scaled_by_infinity(evidence: Evidence, op: Op) -> bool:
    """Whether the op multiplies numbers of the step, none of them 0, with an infinity.

    That masks nothing, while ones of some shape times an infinity are the filling of a mask.
    """
    if op.name not in ("multiply", "divide") or len(op.operands) != 2:
        return False
    computed = [value for value in op.operands if evidence.trace.leaves_of(value)]
    numbers = [as_float(evidence.arrays[value]) for value in computed]
    return bool(numbers) and all(np.isfinite(n).all() and (n != 0).all() for n in numbers)


def first_nan(evidence: Evidence) -> Op | None:
    """The first op downstream of the root that made NaN out of numbers and infinities.

    None where the root holds NaN itself, or where no NaN is near.
    """
    op, leaf = evidence.op, evidence.leaf
    start = op.results[0] if op is not None else leaf.value if leaf is not None else None
    if start is None or np.isnan(as_float(evidence.arrays[start])).any():
        return None
    # The derivative of the first op may be nearer than what went wrong before it.
    return _first_nan(evidence, start, {"forward"}) or _first_nan(evidence, start, None)


def _first_nan(evidence: Evidence, start: int, phases: set[str] | None) -> Op | None:
    frontier = {start}
    for _ in range(_MAX_STEPS):
        consumers = {
            consumer.index: consumer
            for value in frontier
            for consumer in evidence.trace.consumers.get(value, [])
            if phases is None or consumer.phase in phases
        }
        if not consumers or len(consumers) > _MAX_CONSUMERS:
            return None
        arrays = evidence.fetch([c.results[0] for c in consumers.values()])
        frontier = set()
        for index in sorted(consumers):
            result = as_float(arrays[consumers[index].results[0]])
            if np.isnan(result).any():
                return consumers[index]
            if not np.isfinite(result).all():
                frontier.add(consumers[index].results[0])
        if not frontier:
            return None
    return None
