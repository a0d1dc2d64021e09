"""Elements of a weight that were changed outside the updates of the optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.evidence import Earlier, Evidence
from stayfinite.diagnose.growth import SMALLEST_WEIGHT, depends_on_weights, largest_of, sizes_of
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Op
from stayfinite.numerics.dtypes import widened

# By how much an element has to have grown, for an update from one size to the other to be unlikely.
_JUMP = 1e6
# An update that makes an element no larger than this many times, a few roundings, keeps its size.
_UNCHANGED = 1.01
# Between the sizes, updates are tried at so many: at equal distances of their logarithms, and from
# the first that is not finite on nearer and nearer to the largest that is.
_EVENLY = 0.25
_MOST_TRIED = 8


@dataclass(frozen=True)
class Jump:
    """`num_jumped` of `size` elements of one weight, changed by no update of the optimizer.

    The largest of them was `before` and is `now`, `num_steps` steps later. All other elements of
    the weights are at most `others`. Where that element is `tried`, an update makes it `updated`.
    """

    weight: str
    num_jumped: int
    size: int
    before: float
    now: float
    others: float
    num_steps: int
    tried: float
    updated: float


def jump(evidence: Evidence, op: Op) -> Jump | None:
    """The elements of one weight that were changed outside the updates; None if that is not shown.

    They alone have grown, by orders of magnitude, and at sizes in between, which growth over steps
    would have passed, an update does not make them larger.
    """
    earlier = evidence.earlier
    operands = [v for v in op.operands if v not in evidence.trace.constants]
    far = largest_of(sizes_of(evidence, operands), operands) > _JUMP
    if earlier is None or not far or not depends_on_weights(evidence, op):
        return None
    weights = [leaf for leaf in evidence.trace.leaves.values() if leaf.role == "weight"]
    sizes = sizes_of(evidence, [leaf.value for leaf in weights])
    leaf = max(weights, key=lambda leaf: sizes[leaf.value], default=None)
    before = earlier.fetch([leaf.value for leaf in weights])
    if leaf is None or before is None or sizes[leaf.value] <= _JUMP:
        return None
    others = 0.0
    for other in weights:
        if other is not leaf:
            now = np.abs(as_float(evidence.values.loaded(other.value)))
            if _has_grown(now, np.abs(as_float(before[other.value])), 10.0).any():
                return None
            others = max(others, float(now.max(initial=0.0)))
    now = widened(evidence.values.loaded(leaf.value))
    then = widened(before[leaf.value])
    jumped = has_jumped(now, then)
    if not jumped.any() or (_has_grown(np.abs(now), np.abs(then), 10.0) & ~jumped).any():
        return None
    at = np.unravel_index(int(np.argmax(np.abs(now))), now.shape)
    kept = np.abs(now[~jumped]).max(initial=0.0)
    step = _step_in_between(earlier, leaf.name, now, then, jumped)
    if step is None:
        return None
    return Jump(
        weight=leaf.name,
        num_jumped=int(jumped.sum()),
        size=now.size,
        before=float(then[at]),
        now=float(now[at]),
        others=max(others, float(kept)),
        num_steps=earlier.num_steps,
        tried=step[0],
        updated=step[1],
    )


def has_jumped(now: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Which elements are larger than those of an earlier state by orders of magnitude."""
    return _has_grown(np.abs(now), np.abs(then), _JUMP)


def _has_grown(now: np.ndarray, then: np.ndarray, factor: float) -> np.ndarray:
    grown: np.ndarray = now > factor * np.maximum(then, SMALLEST_WEIGHT)
    return grown


def _step_in_between(
    earlier: Earlier, name: str, now: np.ndarray, then: np.ndarray, jumped: np.ndarray
) -> tuple[float, float] | None:
    """A size between `then` and `now`, and what updates make of it at most.

    None where an update makes it larger, or leads from `then` to the size of `now`. Where an update
    is not finite, growth over steps would have been found: it has passed smaller sizes only.
    """
    small = np.maximum(np.abs(then), SMALLEST_WEIGHT)
    ratio = np.where(jumped, np.abs(now) / small, 1.0)

    def updated(part: float) -> tuple[float, float] | None:
        sizes = np.where(jumped, np.sign(now) * small * ratio**part, then)
        states = earlier.updated({name: sizes.astype(np.float32)})
        if not states:
            return None
        after = [float(np.abs(as_float(state[name])[jumped]).max()) for state in states]
        # The largest of numbers and a NaN is any of them.
        largest = max(after) if np.isfinite(after).all() else math.inf
        return float(np.abs(sizes[jumped]).max()), largest

    first = updated(0.0)
    # A comparison with NaN is false as well.
    if first is None or not first[1] <= float(np.abs(now[jumped]).min()) / _JUMP**0.5:
        return None
    found = first
    part, too_far = 0.0, 1.0
    for num_tried in range(_MOST_TRIED):
        between = (_EVENLY * (num_tried + 1)) if too_far == 1.0 else (part + too_far) / 2
        if between >= 1.0:
            break
        step = updated(between)
        if step is None:
            return None
        if not math.isfinite(step[1]):
            too_far = between
        elif step[1] > _UNCHANGED * step[0]:
            return None
        else:
            part, found = between, step
    return found
