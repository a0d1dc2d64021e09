"""`out-of-domain`: a function of a finite number, or of a matrix, outside its domain."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.expressions import SingularMatrix
from stayfinite.diagnose.finding import Critical, Finding
from stayfinite.diagnose.matrices import failing_matrices
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


def match_matrix(evidence: Evidence) -> Finding | None:
    """The root is a part of a factorization, an inverse or a determinant of a singular matrix."""
    found = failing_matrices(evidence)
    if found is None:
        return None
    known, singular = evidence.trace.values[found.value], found.singular
    mask = np.broadcast_to(singular[..., None, None], known.shape)
    samples = evidence.samples(found.value, mask) if singular.ndim else None
    return Finding(
        cause="out-of-domain",
        facts=SingularMatrix(
            found.is_positive,
            found.smallest,
            found.largest,
            known.shape[-1],
            known.dtype,
            int(singular.sum()),
            singular.size,
        ),
        op=found.function,
        samples=samples,
        critical=Critical(found.value, samples),
        mechanism="out-of-domain",
    )
