"""`bad-input`: an input of the model is at fault."""

from __future__ import annotations

from stayfinite.diagnose.batch_values import fault_in
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.finding import Finding


def match(evidence: Evidence) -> Finding | None:
    """An input is non-finite, absurdly large, or an index out of range."""
    fault = fault_in(evidence, ("input",))
    if fault is None:
        return None
    return Finding(
        cause="bad-input",
        facts=fault.facts,
        op="input",
        samples=fault.samples,
        tensor=fault.leaf.name,
        phase="data",
    )
