"""`bad-weights`: a weight, or a constant of the model, was non-finite before the step."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.elements import finite_operands, kind_of
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.growth import JumpedWeight
from stayfinite.diagnose.facts.inputs import NonFiniteArray, NonFiniteConstant
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.infinities import arithmetic_reader, is_scaled_by_infinity
from stayfinite.diagnose.jumps import jump
from stayfinite.diagnose.values import as_float
from stayfinite.incident import Incoming


def match(evidence: Evidence) -> Finding | None:
    """The root is a weight that came in bad, trained or frozen, or has such a constant operand."""
    leaf = evidence.leaf
    if leaf is None:
        return _constant(evidence)
    if leaf.role != "weight":
        return None
    bad = evidence.bad(leaf.value)
    kind = kind_of(evidence.values[leaf.value])
    num_steps = evidence.steps_since_finite(leaf.value)
    return Finding(
        cause="bad-weights",
        facts=NonFiniteArray(kind, int(bad.sum()), bad.size, num_steps),
        op=Incoming.WEIGHT,
        tensor=leaf.name,
        phase="load",
    )


def match_jump(evidence: Evidence) -> Finding | None:
    """Elements of a weight were changed between two steps, as by a bit flip or a bad write."""
    op = evidence.op
    if op is None or not op.operands or not finite_operands(evidence, op):
        return None
    found = jump(evidence, op)
    if found is None:
        return None
    facts = JumpedWeight(
        before=found.before,
        now=found.now,
        others=found.others,
        num_steps=found.num_steps,
        num_jumped=found.num_jumped,
        size=found.size,
        tried=found.tried,
        updated=found.updated,
    )
    return Finding(
        cause="bad-weights", facts=facts, op=Incoming.WEIGHT, tensor=found.weight, phase="load"
    )


def _constant(evidence: Evidence) -> Finding | None:
    """A factor that was computed before the training, as a scale of 1 / 0, and is in no weight."""
    op = evidence.op
    if op is None or op.phase != "forward":
        return None
    constants = [
        evidence.values[value]
        for value in op.operands
        if value in evidence.trace.constants and evidence.bad(value).any()
    ]
    reader = arithmetic_reader(evidence.trace, op)
    if not constants or reader is None:
        return None
    array = next((a for a in constants if np.isnan(as_float(a)).any()), constants[0])
    is_nan = bool(np.isnan(as_float(array)).any())
    if not is_nan and not is_scaled_by_infinity(evidence, reader):
        return None
    num_bad = int((~np.isfinite(as_float(array))).sum())
    facts = NonFiniteConstant("nan" if is_nan else "inf", num_bad, array.size, array)
    return Finding(cause="bad-weights", facts=facts, op=reader.name, phase="load")
