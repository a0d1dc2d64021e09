"""`singular-gradient`: the value is finite, its derivative is not."""

from __future__ import annotations

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.poles import singular_point


def match(evidence: Evidence) -> Finding | None:
    """The root is a derivative that is not finite, and the forward op it belongs to is."""
    met = singular_point(evidence)
    if met is None:
        return None
    return Finding(
        cause="singular-gradient",
        facts=met.facts,
        op=met.op.name,
        samples=met.samples,
        critical=met.critical,
        mechanism="singular-gradient",
        operand=met.position,
        phase=met.phase,
    )
