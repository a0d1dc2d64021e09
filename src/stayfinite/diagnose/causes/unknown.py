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
    # The first result of a loop may be its counter.
    evidence.values.load(op.results)
    result = next((v for v in op.results if evidence.bad(v).any()), op.results[0])
    bad = evidence.bad(result)
    samples = samples_of(evidence, op, 0, bad) or evidence.samples(result, bad)
    facts = UnexplainedOp(
        kind=kind_of(evidence.values[result]),
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
