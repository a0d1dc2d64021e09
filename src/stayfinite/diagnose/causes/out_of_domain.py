"""`out-of-domain`: a function of a finite number outside its domain."""

from __future__ import annotations

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.finding import Critical, Finding
from stayfinite.diagnose.poles import outside_domain
from stayfinite.numerics.functions import PoleKind, row


def match(evidence: Evidence) -> Finding | None:
    """An operand of the root is outside the domain where the result is bad."""
    op, found = evidence.op, outside_domain(evidence)
    if op is None or found is None:
        return None
    pole = row(op.name).pole
    is_log = pole is not None and pole.kind is PoleKind.LOGARITHM
    return Finding(
        cause="out-of-domain",
        facts=found.facts,
        op=op.name,
        samples=found.samples,
        critical=Critical(op.operands[found.position], found.samples),
        mechanism="log-of-zero" if is_log else "singular-gradient",
        operand=found.position,
    )
