"""What a step says of itself: its evidence, and the cause that the rules find in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stayfinite.replay.step import Outcome, Step
from stayfinite.rules import catalog
from stayfinite.rules.finding import Finding
from stayfinite.trace import evidence as evidences
from stayfinite.trace.evidence import Evidence
from stayfinite.trace.trace import Op

_LEAF_ORDER = ("weight", "statistics", "input", "target", "sample_weight", "optimizer", "metric")
_PHASE_ORDER = ("load", "data", "forward", "backward", "statistics", "update")


@dataclass(frozen=True)
class Diagnosis:
    """A root of the failure with its numbers, and what the rules say of it."""

    evidence: Evidence
    finding: Finding


def diagnose(step: Step, outcome: Outcome, ranges: dict[str, float]) -> Diagnosis:
    """The cause of a non-finite step.

    Args:
        step: The step.
        outcome: What running it gave.
        ranges: See `Evidence.ranges`.
    """
    found = step.roots()
    leaf = min(found.leaves, key=lambda leaf: _LEAF_ORDER.index(leaf.role), default=None)
    op: Op | None = None
    if leaf is None:
        order = {phase: number for number, phase in enumerate(_PHASE_ORDER)}
        op = min(found.ops, key=lambda op: (order[op.phase], op.index), default=None)
    evidence = evidences.gather(
        step.trace,
        op,
        leaf,
        step.fetch,
        loss_finite=math.isfinite(outcome.loss),
        ranges=ranges,
    )
    return Diagnosis(evidence, catalog.diagnose(evidence))
