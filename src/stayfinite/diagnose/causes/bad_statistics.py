"""`bad-statistics`: a moving statistic is non-finite, or one that a layer cannot compute with."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.elements import kind_of
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.inputs import ImpossibleStatistic, NonFiniteArray, StatisticProblem
from stayfinite.diagnose.facts.new_state import BadNewStatistic
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Leaf, Op
from stayfinite.graph.walk import new_state_of
from stayfinite.incident import Incoming
from stayfinite.numerics.functions import row

# No statistic of usable data is so large.
_RUNAWAY = 1e15


def match(evidence: Evidence) -> Finding | None:
    """A statistic came in bad, is made bad in this step, or is what a layer cannot compute with."""
    leaf, op = evidence.leaf, evidence.op
    if leaf is not None:
        return _came_in(evidence, leaf) if leaf.role == "statistics" else None
    if op is None:
        return None
    if op.phase == "statistics":
        return _made(evidence, op) if evidence.loss_finite else None
    return _read(evidence, op)


def _came_in(evidence: Evidence, leaf: Leaf) -> Finding:
    bad = evidence.bad(leaf.value)
    kind = kind_of(evidence.values[leaf.value])
    return Finding(
        cause="bad-statistics",
        facts=NonFiniteArray(kind, int(bad.sum()), bad.size),
        op=Incoming.STATE,
        tensor=leaf.name,
        phase="load",
    )


def _made(evidence: Evidence, op: Op) -> Finding:
    """The step makes it bad; why the expression fails is added by `classify`."""
    bad = evidence.bad(op.results[0])
    leaves = evidence.trace.leaves.values()
    statistics = {leaf.name for leaf in leaves if leaf.role == "statistics"}
    reached = [n for n in new_state_of(evidence.trace, op.results[0]) if n in statistics]
    facts = BadNewStatistic(
        name=reached[0] if reached else None,
        kind=kind_of(evidence.results_of(op)),
        num_bad=int(bad.sum()),
        size=bad.size,
    )
    return Finding(cause="bad-statistics", facts=facts, op=op.name)


def _read(evidence: Evidence, op: Op) -> Finding | None:
    """The root is computed from statistics alone, and one is negative or absurdly large."""
    of_statistics = [
        leaves
        for value in op.operands
        if (leaves := evidence.trace.leaves_of(value))
        and all(leaf.role == "statistics" for leaf in leaves)
    ]
    evidence.values.load(leaf.value for leaves in of_statistics for leaf in leaves)
    for leaf in (leaf for leaves in of_statistics for leaf in leaves):
        facts = _impossible(as_float(evidence.values[leaf.value]), op)
        if facts is not None:
            return Finding(
                cause="bad-statistics",
                facts=facts,
                op=op.name,
                tensor=leaf.name,
                phase="forward",
                span=op.span,
            )
    return None


def _impossible(array: np.ndarray, op: Op) -> ImpossibleStatistic | None:
    sizes = np.abs(array)
    if not row(op.name).is_defined_below_0 and array.size and float(array.min()) < 0:
        num_bad, worst = int((array < 0).sum()), float(array.min())
        return ImpossibleStatistic(StatisticProblem.NEGATIVE, worst, num_bad, array.size)
    if float(np.max(sizes, initial=0.0)) > _RUNAWAY:
        num_bad, worst = int((sizes > _RUNAWAY).sum()), float(array.flat[sizes.argmax()])
        return ImpossibleStatistic(StatisticProblem.TOO_LARGE, worst, num_bad, array.size)
    return None
