"""`bad-target`: a target or a sample weight is at fault."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.batch_values import fault_in
from stayfinite.diagnose.elements import finite_operands, samples_with
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.inputs import TargetTooLong
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.values import as_float
from stayfinite.incident import Incoming


def match(evidence: Evidence) -> Finding | None:
    """A target or a sample weight is non-finite, absurdly large, no class, or too long."""
    fault = fault_in(evidence, ("target", "sample_weight"))
    if fault is None:
        return _too_long(evidence)
    is_weight = fault.leaf.role == "sample_weight"
    return Finding(
        cause="bad-target",
        facts=fault.facts,
        op=Incoming.SAMPLE_WEIGHT if is_weight else Incoming.TARGET,
        samples=fault.samples,
        tensor=fault.leaf.name,
        phase="data",
    )


def _too_long(evidence: Evidence) -> Finding | None:
    """The loss of a connectionist temporal classification is infinite where no alignment exists."""
    op = evidence.op
    if op is None or op.name != "ctc_loss" or not finite_operands(evidence, op):
        return None
    infinite = np.isposinf(as_float(evidence.results_of(op)))
    if not infinite.any():
        return None
    return Finding(
        cause="bad-target",
        facts=TargetTooLong(int(infinite.sum()), infinite.size),
        op=op.name,
        samples=samples_with(infinite) if infinite.ndim else None,
    )
