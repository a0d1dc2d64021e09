"""`overflow`: one operation leaves the range of its dtype on ordinary inputs."""

from __future__ import annotations

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.finding import Critical, Finding
from stayfinite.diagnose.ranges import exceeded


def match(evidence: Evidence) -> Finding | None:
    """The root left the range with finite operands, and no pole or singular point did it."""
    found = exceeded(evidence)
    if found is None:
        return None
    return Finding(
        cause="overflow",
        facts=found.facts,
        op=found.op.name,
        samples=found.samples,
        critical=Critical(found.op.operands[found.position], found.samples),
        mechanism="overflow",
        operand=found.position,
    )
