"""`masked-branch`: a discarded value is non-finite, and so is the gradient that goes through it."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.elements import bad_elements, samples_of
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.expressions import Discarded, Leak
from stayfinite.diagnose.facts.kind import Kind
from stayfinite.diagnose.finding import Critical, Finding
from stayfinite.diagnose.mask_products import masked_by_product
from stayfinite.diagnose.masking import absorbed, chosen_away, derivative_discarded
from stayfinite.diagnose.poles import singular_point
from stayfinite.diagnose.ranges import literal_out_of_range
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Op


def match(evidence: Evidence) -> Finding | None:
    """The forward op, or its derivative, is non-finite, and something discards its value."""
    op, primal = evidence.op, evidence.primal
    if op is None or primal is None or literal_out_of_range(evidence, op) is not None:
        return None
    bad = evidence.bad(primal.results[0])
    if not bad.any():
        return _of_discarded_point(evidence, primal)
    if op.phase == "backward":
        if absorbed(evidence, primal):
            return None
        leaking = bad_elements(evidence)
        if leaking.shape == bad.shape:
            bad = bad & leaking
        return _finding(evidence, primal, bad, Leak.GRADIENT) if bad.any() else None
    if chosen_away(evidence, op):
        return _finding(evidence, primal, bad, Leak.GRADIENT)
    if masked_by_product(evidence, op):
        return _finding(evidence, primal, bad, Leak.PRODUCT_WITH_0)
    return None


def _of_discarded_point(evidence: Evidence, primal: Op) -> Finding | None:
    """`where(x > 0, sqrt(x), 0)` at 0: the root is finite, and its derivative is not."""
    met = singular_point(evidence)
    bad = bad_elements(evidence)
    if met is None or met.op is not primal or not derivative_discarded(evidence, primal, bad):
        return None
    return Finding(
        cause="masked-branch",
        facts=Discarded("inf", Leak.DERIVATIVE, int(bad.sum()), bad.size),
        op=primal.name,
        samples=met.samples,
        critical=met.critical,
        mechanism="singular-gradient",
        operand=met.position,
        phase=met.phase,
    )


def _finding(evidence: Evidence, op: Op, bad: np.ndarray, leak: Leak) -> Finding:
    samples = samples_of(evidence, op, 0, bad) if op.operands else None
    discarded = as_float(evidence.results_of(op))[bad]
    kind: Kind = "inf"
    if np.isnan(discarded).any():
        kind = "nan"
    elif (discarded < 0).any():
        kind = "-inf"
    return Finding(
        cause="masked-branch",
        facts=Discarded(kind, leak, int(bad.sum()), bad.size),
        op=op.name,
        samples=samples,
        critical=Critical(op.operands[0], samples) if op.operands else None,
        mechanism="masked-branch",
        phase="backward" if evidence.loss_finite else None,
    )
