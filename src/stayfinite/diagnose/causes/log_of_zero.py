"""`log-of-zero`: a logarithm at its pole."""

from __future__ import annotations

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.poles import log_pole


def match(evidence: Evidence) -> Finding | None:
    """The operand of the root is exactly at the pole of a logarithm."""
    met = log_pole(evidence)
    if met is None:
        return None
    return Finding(
        cause="log-of-zero",
        facts=met.facts,
        op=met.op.name,
        samples=met.samples,
        critical=met.critical,
        mechanism="log-of-zero",
        operand=met.position,
    )
