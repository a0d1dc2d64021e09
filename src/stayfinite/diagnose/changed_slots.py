"""Elements of a variable of an optimizer that were changed between two steps.

The next update takes such a change to a weight, which then looks as if it had grown, or was bad
before the step. What the optimizer keeps need not be known: the weight and the variable are set
back together, and updates from there on show whether gradients lead to the sizes of now.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.evidence import Earlier, Evidence
from stayfinite.diagnose.facts.growth import SlotOfNoStep
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.growth import SMALLEST_WEIGHT
from stayfinite.diagnose.jumps import has_jumped
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Leaf
from stayfinite.incident import Incoming
from stayfinite.numerics.dtypes import widened

# A program writes whole arrays.
_PART = 0.01
# The other elements of the variable are smaller than those that were changed by this factor.
_FAR = 1e3
# Sizes of the weight that are tried, at equal distances of their logarithms.
_NUM_TRIED = 6
# An update that makes an element no larger than this many times, a few roundings, keeps its size.
_UNCHANGED = 1.01
# Gradients may grow a little faster than the weight.
_FACTOR = 3.0


@dataclass(frozen=True)
class _Pair:
    """A variable of the optimizer and a weight, now and before, and where both are far too large.

    All arrays are in float64.
    """

    slot: Leaf
    weight: Leaf
    slot_now: np.ndarray
    slot_before: np.ndarray
    weight_now: np.ndarray
    weight_before: np.ndarray
    where: np.ndarray


def changed_slot(evidence: Evidence) -> Finding | None:
    """The variable of an optimizer that something else changed; None if that is not shown."""
    earlier = evidence.earlier
    if earlier is None:
        return None
    pair = _pair(evidence, earlier)
    if pair is None:
        return None
    finite = bool(np.isfinite(pair.slot_now).all())
    # A gradient that is not finite is not applied: without the change, both are finite.
    limit = _largest_by_gradients(pair, earlier) if finite else np.inf
    sizes = np.where(pair.where, np.nan_to_num(np.abs(pair.slot_now), nan=np.inf), -1.0)
    at = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
    if limit is None or (finite and not sizes[pair.where].min() > limit):
        return None
    facts = SlotOfNoStep(
        now=float(pair.slot_now[at]),
        limit=float(limit),
        beside=pair.weight.name,
        num_beyond=int(pair.where.sum()),
        size=pair.where.size,
        num_steps=earlier.num_steps,
    )
    return Finding("bad-update", facts, op=Incoming.STATE, tensor=pair.slot.name, phase="load")


def _pair(evidence: Evidence, earlier: Earlier) -> _Pair | None:
    """The one variable and the one weight in which a few elements, and only they, are too large."""
    leaves = [
        leaf for leaf in evidence.trace.leaves.values() if leaf.role in ("weight", "optimizer")
    ]
    evidence.values.load([leaf.value for leaf in leaves])
    before = earlier.fetch([leaf.value for leaf in leaves])
    if before is None:
        return None
    found: dict[str, list[tuple[Leaf, np.ndarray, np.ndarray, np.ndarray]]]
    found = {"weight": [], "optimizer": []}
    for leaf in leaves:
        now, then = _wide(evidence.values[leaf.value]), _wide(before[leaf.value])
        if now.shape != then.shape or not np.isfinite(then).all():
            return None
        with np.errstate(invalid="ignore"):
            where = has_jumped(now, then) | ~np.isfinite(now)
        if where.any():
            found[leaf.role].append((leaf, now, then, where))
    if [len(each) for each in found.values()] != [1, 1]:
        return None
    (weight, w_now, w_then, w_where), (slot, now, then, where) = (f[0] for f in found.values())
    few = max(1, int(_PART * where.size))
    if where.shape != w_where.shape or (where != w_where).any() or int(where.sum()) > few:
        return None
    largest_other = np.abs(now[~where]).max(initial=SMALLEST_WEIGHT)
    smallest = np.nan_to_num(np.abs(now[where]), nan=np.inf).min()
    if np.isfinite(now).all() != np.isfinite(w_now).all() or smallest < _FAR * largest_other:
        return None
    return _Pair(slot, weight, now, then, w_now, w_then, where)


def _largest_by_gradients(pair: _Pair, earlier: Earlier) -> float | None:
    """How large updates can have made the variable beside a weight of this size.

    None where updates of a smaller weight make it larger: it may have grown over steps.
    """
    now = np.abs(pair.weight_now)
    small = np.maximum(np.abs(pair.weight_before), SMALLEST_WEIGHT)
    ratio = np.where(pair.where, now / small, 1.0)
    largest = float(now[pair.where].max())
    rate = None
    for number in range(_NUM_TRIED):
        sizes = small * ratio ** (number / _NUM_TRIED)
        size = float(sizes[pair.where].max())
        weight = np.where(pair.where, np.sign(pair.weight_now) * sizes, pair.weight_now)
        slot = np.where(pair.where, pair.slot_before, pair.slot_now)
        states = earlier.updated(
            {pair.weight.name: weight.astype("f4"), pair.slot.name: slot.astype("f4")}
        )
        if not states:
            return None
        after = np.array(
            [
                [np.abs(as_float(state[leaf.name])[pair.where]).max() for state in states]
                for leaf in (pair.weight, pair.slot)
            ]
        )
        if not np.isfinite(after).all():
            # The gradients of a larger weight are those by which it would have failed before.
            break
        # The first update starts from an ordinary size.
        if after[0].max() > (largest / _FAR if number == 0 else _UNCHANGED * size):
            return None
        rate = max(rate or 0.0, float(after[1].max()) / size)
    return None if rate is None else _FACTOR * rate * largest


def _wide(array: np.ndarray) -> np.ndarray:
    wide: np.ndarray = widened(array)
    return wide
