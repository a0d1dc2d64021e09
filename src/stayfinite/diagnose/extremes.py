"""Maxima and minima of nothing: of a row that is masked throughout, and of a group of no elements.

Such a result is the infinity that a maximum begins with. It is no fault until the next ops make a
NaN of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Op
from stayfinite.graph.walk import upstream
from stayfinite.numerics.functions import Trait, row

# How many ops before a NaN are searched for such a reduction, and how many of those are looked at.
_SEARCHED = 400
_CANDIDATES = 20


def results_of_nothing(evidence: Evidence) -> np.ndarray | None:
    """The mask of the results of the op at fault that are of no elements; None where none is."""
    op = evidence.op
    if op is None or op.phase == "backward" or not op.operands:
        return None
    bad = evidence.bad(op.results[0])
    if not bad.any():
        return None
    if row(op.name).has(Trait.EXTREME):
        return _of_rows(evidence, op, bad)
    return _of_groups(evidence, op, bad) if is_by_group(op) else None


def is_by_group(op: Op) -> bool:
    """Whether the op reduces the elements of each group, which an operand names."""
    return row(op.name).has(Trait.GROUPS)


def extremes_before(evidence: Evidence) -> Iterator[Op]:
    """Yield the reductions before the op at fault that gave an infinity, the last first."""
    op = evidence.op
    if op is None:
        return
    near = {
        before.index: before
        for value in op.operands
        for before in upstream(evidence.trace, value, max_ops=_SEARCHED)
        if before.phase == "forward"
        and (row(before.name).has(Trait.EXTREME) or is_by_group(before))
    }
    evidence.values.summarise(before.results[0] for before in near.values())
    infinite = (b for b in near.values() if not evidence.values.summary(b.results[0]).is_finite)
    yield from islice(infinite, _CANDIDATES)


def _of_rows(evidence: Evidence, op: Op, bad: np.ndarray) -> np.ndarray | None:
    """The maximum of a row is -inf, and the minimum inf, only where all of it is."""
    empty = -np.inf if op.name == "max" else np.inf
    mask: np.ndarray = bad & (as_float(evidence.results_of(op)) == empty)
    return mask if mask.any() else None


def _of_groups(evidence: Evidence, op: Op, bad: np.ndarray) -> np.ndarray | None:
    """A group without elements has what the op, or its first operand, begins with."""
    first, *others = op.operands
    begin = evidence.bad(first)
    if any(bool(evidence.bad(value).any()) for value in others):
        return None
    if not begin.any():
        return bad
    return bad if begin.shape == bad.shape and not (bad & ~begin).any() else None
