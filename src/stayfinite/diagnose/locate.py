"""What a step says of itself: its evidence, and the cause that the rules find in it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose import catalog
from stayfinite.diagnose import evidence as evidences
from stayfinite.diagnose.causes import fully_masked_row, half_overflow
from stayfinite.diagnose.evidence import Earlier, Evidence, as_float
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.hiding import leaking_op
from stayfinite.diagnose.infinities import first_nan, is_meant
from stayfinite.frameworks.change import WiderDtype
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.graph.graph import Leaf, Op
from stayfinite.graph.walk import depends_on

_LEAF_ORDER = ("weight", "statistics", "input", "target", "sample_weight", "optimizer", "metric")
_PHASE_ORDER = ("load", "data", "forward", "backward", "statistics", "update")


@dataclass(frozen=True)
class Diagnosis:
    """A root of the failure with its numbers, and what the rules say of it."""

    evidence: Evidence
    finding: Finding


def diagnose(
    step: Step, outcome: Outcome, ranges: dict[str, float], earlier: Earlier | None = None
) -> Diagnosis:
    """The cause of a non-finite step.

    Args:
        step: The step.
        outcome: What running it gave.
        ranges: See `Evidence.ranges`.
        earlier: See `Evidence.earlier`.
    """
    found = step.roots()
    leaf = min(found.leaves, key=lambda leaf: _LEAF_ORDER.index(leaf.role), default=None)
    op: Op | None = None
    if leaf is None:
        order = {phase: number for number, phase in enumerate(_PHASE_ORDER)}
        op = min(found.ops, key=lambda op: (order[op.phase], op.index), default=None)

    @functools.cache
    def finite_wider() -> bool:
        try:
            wider = step.run(WiderDtype())
        except Exception:
            # An op without a float64 form: then nothing is known of the wider step.
            return False
        return wider.finite and not wider.bad_gradients

    def evidence_of(op: Op | None, leaf: Leaf | None) -> Evidence:
        return evidences.gather(
            step.trace,
            op,
            leaf,
            step.fetch,
            loss_finite=math.isfinite(outcome.loss),
            ranges=ranges,
            finite_wider=finite_wider,
            earlier=earlier,
        )

    evidence = evidence_of(op, leaf)
    nan = first_nan(evidence) if _may_be_meant(evidence) else None
    if nan is not None and not _is_beyond_dtype(evidence):
        there = evidence_of(nan, None)
        written = evidence.leaf is None and is_meant(evidence)
        if written or fully_masked_row.match(there) is not None:
            evidence = there
    leak = leaking_op(evidence)
    if leak is not None:
        evidence = evidence_of(leak, None)
    return Diagnosis(evidence, catalog.diagnose(evidence))


def _is_beyond_dtype(evidence: Evidence) -> bool:
    """Whether the infinity was written as a number that this dtype has no room for."""
    op = evidence.op
    return op is not None and half_overflow.literal_beyond(evidence, op) is not None


def _may_be_meant(evidence: Evidence) -> bool:
    op = evidence.op
    if op is None or op.phase == "backward" or is_meant(evidence):
        return is_meant(evidence)
    if op.name == "log":
        return True
    # Two masks of the lowest number, added up: no weight has a part in it.
    result = as_float(evidence.results_of(op))
    only_masks = bool(np.isneginf(result[~np.isfinite(result)]).all())
    return only_masks and not depends_on(evidence.trace, op.results[0], "weight")
