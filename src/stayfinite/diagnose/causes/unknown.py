"""`unknown`: the first bad op, without a reason."""

from __future__ import annotations

from stayfinite.diagnose.elements import kind_of, samples_of
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.unexplained import UnexplainedInput, UnexplainedOp
from stayfinite.diagnose.finding import Critical, Finding


def match(evidence: Evidence) -> Finding:
    """Always."""
    op = evidence.op
    if op is None:
        name = evidence.leaf.name if evidence.leaf else None
        return Finding(cause="unknown", facts=UnexplainedInput(), op="", tensor=name)
    bad = evidence.bad(op.results[0])
    samples = samples_of(evidence, op, 0, bad) if op.operands else None
    facts = UnexplainedOp(
        kind=kind_of(evidence.results_of(op)),
        has_operands=bool(op.operands),
        num_bad=int(bad.sum()),
        size=bad.size,
    )
    return Finding(
        cause="unknown",
        facts=facts,
        op=op.name,
        samples=samples,
        critical=Critical(op.operands[0], samples) if op.operands else None,
    )
