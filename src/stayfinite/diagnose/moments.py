"""Moments of an optimizer that no gradients can have made.

The first moment of Adam is an average of gradients, the second one of their squares. Whatever the
gradients were, the square of the first is at most a constant times the second, by the inequality of
Cauchy and Schwarz. Where an element of the first is far beyond that, something else wrote to one of
the two. This needs no earlier state.
"""

from __future__ import annotations

import math

import numpy as np

from stayfinite.diagnose.facts.growth import MomentOfNoStep
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.values import as_float
from stayfinite.frameworks.optimizers import Moments, moments_of
from stayfinite.frameworks.step import Step
from stayfinite.incident import Incoming

# Roundings, and settings that were changed meanwhile, do not exceed the bound by this factor.
_FACTOR = 1e3
# The square of a smaller gradient may round to 0.
_SMALLEST = 1e-3
# A program writes whole arrays.
_PART = 0.01


def moment_of_no_step(step: Step) -> Finding | None:
    """The first moment that is impossible beside the second one; None where each is possible."""
    known = [pair for optimizer in step.subject.optimizers for pair in moments_of(optimizer)]
    if not known:
        return None
    arrays = step.state_arrays()
    for moments in known:
        first, second = arrays.get(moments.first), arrays.get(moments.second)
        if first is None or second is None or first.shape != second.shape:
            continue
        facts = _facts(as_float(first), as_float(second), moments)
        if facts is not None:
            return Finding(
                "bad-update", facts, op=Incoming.STATE, tensor=moments.first, phase="load"
            )
    return None


def _facts(first: np.ndarray, second: np.ndarray, moments: Moments) -> MomentOfNoStep | None:
    factor = largest_ratio(moments.decays)
    if factor is None or not np.isfinite(second).all() or (second < 0).any():
        return None
    limits = factor * np.sqrt(second.astype(np.float64))
    sizes = np.abs(first.astype(np.float64))
    beyond = sizes > _FACTOR * np.maximum(limits, _SMALLEST)
    num_beyond = int(beyond.sum())
    if not 0 < num_beyond <= max(1, int(_PART * first.size)):
        return None
    at = np.unravel_index(int(np.argmax(np.where(beyond, sizes, -1.0))), first.shape)
    return MomentOfNoStep(
        now=float(first[at]),
        limit=float(limits[at]),
        beside=moments.second,
        num_beyond=num_beyond,
        size=first.size,
    )


def largest_ratio(decays: tuple[float, float]) -> float | None:
    """How many times the root of the second moment the first one can be; None without a bound."""
    one, other = decays
    if not (0.0 <= one < 1.0 and 0.0 < other < 1.0 and one * one < other):
        return None
    return math.sqrt((1.0 - one) ** 2 / ((1.0 - other) * (1.0 - one * one / other)))
