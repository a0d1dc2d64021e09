"""`epsilon-underflow`: an epsilon, or the divisor it protects, vanishes in this dtype."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stayfinite.diagnose import epsilon
from stayfinite.diagnose.elements import samples_of
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.expressions import (
    AtLogPole,
    SquareVanishes,
    Underflow,
    VanishedEpsilon,
)
from stayfinite.diagnose.finding import Critical, Finding, Mechanism
from stayfinite.diagnose.poles import MetPole, log_pole, singular_point, zero_divisor
from stayfinite.diagnose.values import as_float
from stayfinite.numerics import dtypes

_POLES: tuple[tuple[Callable[[Evidence], MetPole | None], Mechanism], ...] = (
    (zero_divisor, "division-by-zero"),
    (log_pole, "log-of-zero"),
    (singular_point, "singular-gradient"),
)


def match(evidence: Evidence) -> Finding | None:
    """A pole was met in spite of an epsilon, or only because the dtype is narrow."""
    for measure, mechanism in _POLES:
        met = measure(evidence)
        if met is not None and met.critical is not None:
            return _unprotected(evidence, met, met.critical, mechanism)
    return _square_of_divisor(evidence)


def _unprotected(
    evidence: Evidence, met: MetPole, critical: Critical, mechanism: Mechanism
) -> Finding | None:
    at_zero = as_float(evidence.values[critical.value]) == 0
    lost = epsilon.lost(evidence, critical.value, at_zero)
    dtype = evidence.dtype(critical.value)
    if lost is None and not isinstance(met.facts, AtLogPole) and dtype in dtypes.HALF:
        lost = Underflow(dtype) if evidence.finite_wider() else None
    if lost is None:
        return None
    return Finding(
        cause="epsilon-underflow",
        facts=VanishedEpsilon(lost, met.facts),
        op=met.op.name,
        samples=met.samples,
        critical=critical,
        mechanism=mechanism,
        operand=met.position,
        phase=met.phase,
    )


def _square_of_divisor(evidence: Evidence) -> Finding | None:
    """A division whose value is finite, and whose derivative divides by the square of 1e-23."""
    op, primal = evidence.op, evidence.primal
    if op is None or primal is None or op.phase != "backward" or primal.name != "divide":
        return None
    divisor = np.abs(as_float(evidence.operand(primal, 1)))
    value = as_float(evidence.results_of(primal))
    if divisor.shape != value.shape:
        return None
    dtype = evidence.dtype(primal.operands[1])
    smallest = dtypes.smallest(dtype)
    mask = (divisor < smallest**0.5) & (divisor > 0) & np.isfinite(value)
    if not mask.any():
        return None
    samples = samples_of(evidence, primal, 1, mask)
    return Finding(
        cause="epsilon-underflow",
        facts=SquareVanishes(float(divisor[mask].min()), smallest, dtype),
        op="divide",
        samples=samples,
        critical=Critical(primal.operands[1], samples),
        mechanism="division-by-zero",
        operand=1,
    )
