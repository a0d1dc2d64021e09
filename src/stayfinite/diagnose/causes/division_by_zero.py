"""`division-by-zero`: x / 0 or 0 / 0."""

from __future__ import annotations

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.poles import zero_divisor


def match(evidence: Evidence) -> Finding | None:
    """The root divides, and its divisor is 0 where its result is not finite."""
    met = zero_divisor(evidence)
    if met is None:
        return None
    return Finding(
        cause="division-by-zero",
        facts=met.facts,
        op=met.op.name,
        samples=met.samples,
        critical=met.critical,
        mechanism="division-by-zero",
        operand=met.position,
    )
