"""`bad-input`: an input of the model is at fault."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.batch_values import fault_in
from stayfinite.diagnose.elements import bad_elements, kind_of
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.inputs import NonFiniteRows
from stayfinite.diagnose.finding import Finding
from stayfinite.incident import Incoming

_ROWS_NAMED = 4


def match(evidence: Evidence) -> Finding | None:
    """An input is non-finite, absurdly large, or an index out of range or of a bad row."""
    fault = fault_in(evidence, ("input",))
    if fault is None:
        return _rows(evidence)
    return Finding(
        cause="bad-input",
        facts=fault.facts,
        op=Incoming.INPUT,
        samples=fault.samples,
        tensor=fault.leaf.name,
        phase="data",
    )


def _rows(evidence: Evidence) -> Finding | None:
    """The batch selects from an array that is no part of the state, as `features[indices]`."""
    op = evidence.op
    if op is None or op.name != "gather" or len(op.operands) < 2:
        return None
    table, indices = op.operands[:2]
    is_constant = table in evidence.trace.constants
    leaves = evidence.trace.leaves_of(indices)
    is_of_batch = any(leaf.role in ("input", "target") for leaf in leaves)
    if not (is_constant and is_of_batch and evidence.bad(table).any()):
        return None
    bad, array = evidence.bad(table), evidence.values[table]
    asked = np.unique(evidence.values[indices])
    rows = np.intersect1d(asked, np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1)))
    facts = NonFiniteRows(
        kind=kind_of(array),
        rows=tuple(int(row) for row in rows[:_ROWS_NAMED]),
        num_bad=int(bad.sum()),
        size=bad.size,
    )
    samples = evidence.samples(op.results[0], bad_elements(evidence))
    return Finding(cause="bad-input", facts=facts, op=op.name, samples=samples, phase="data")
