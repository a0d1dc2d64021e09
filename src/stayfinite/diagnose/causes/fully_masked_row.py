"""`fully-masked-row`: softmax or logsumexp over a row that is all -inf."""

from __future__ import annotations

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.expressions import FullyMaskedRow
from stayfinite.diagnose.finding import Critical, Finding
from stayfinite.diagnose.masked_rows import fully_masked_row


def match(evidence: Evidence) -> Finding | None:
    """A whole row of scores is masked, and would be in float32 as well."""
    found = fully_masked_row(evidence)
    if found is None or found.by_range:
        return None
    return Finding(
        cause="fully-masked-row",
        facts=FullyMaskedRow(found.function == "logsumexp", found.by_product),
        op=found.function,
        samples=found.samples,
        critical=Critical(found.value, found.samples),
        mechanism="fully-masked-row",
    )
