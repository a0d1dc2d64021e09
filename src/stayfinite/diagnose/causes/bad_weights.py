"""`bad-weights`: a weight, or a constant of the model, was non-finite before the step."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.elements import kind_of
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts import NonFiniteArray, NonFiniteConstant
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.infinities import is_scaled_by_infinity
from stayfinite.diagnose.values import as_float

# A `where` may choose a NaN on purpose; arithmetic with one is a mistake.
_ARITHMETIC = {"add", "divide", "multiply", "subtract"}


def match(evidence: Evidence) -> Finding | None:
    """The root is a weight that came in bad, trained or frozen, or has such a constant operand."""
    leaf = evidence.leaf
    if leaf is None:
        return _constant(evidence)
    if leaf.role != "weight":
        return None
    bad = evidence.bad(leaf.value)
    kind = kind_of(evidence.values[leaf.value])
    return Finding(
        cause="bad-weights",
        facts=NonFiniteArray(kind, int(bad.sum()), bad.size),
        op="weight",
        tensor=leaf.name,
        phase="load",
    )


def _constant(evidence: Evidence) -> Finding | None:
    """A factor that was computed before the training, as a scale of 1 / 0, and is in no weight."""
    op = evidence.op
    if op is None or op.phase != "forward" or op.name not in _ARITHMETIC:
        return None
    constants = [
        as_float(evidence.values[value])
        for value in op.operands
        if value in evidence.trace.constants
    ]
    has_nan = any(bool(np.isnan(array).any()) for array in constants)
    has_infinity = any(bool(np.isinf(array).any()) for array in constants)
    if not has_nan and not (has_infinity and is_scaled_by_infinity(evidence, op)):
        return None
    facts = NonFiniteConstant("nan" if has_nan else "inf")
    return Finding(cause="bad-weights", facts=facts, op=op.name, phase="load")
