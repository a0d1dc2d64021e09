"""`bad-target`: a target or a sample weight is at fault."""

from __future__ import annotations

from stayfinite.diagnose.batch_values import fault_in
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.finding import Finding


def match(evidence: Evidence) -> Finding | None:
    """A target or a sample weight is non-finite, absurdly large, or a class that is not there."""
    fault = fault_in(evidence, ("target", "sample_weight"))
    if fault is None:
        return None
    return Finding(
        cause="bad-target",
        facts=fault.facts,
        op="target",
        samples=fault.samples,
        tensor=fault.leaf.name,
        phase="data",
    )
