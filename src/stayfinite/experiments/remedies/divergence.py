"""`divergence`: repeat the steps from an earlier state, with one thing changed.

First the steps are repeated unchanged: a remedy is shown only if they fail without it. If there are
more steps than kept batches, the batches are used in turn.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Sequence

import numpy as np

from stayfinite.experiments.changes import ClipFromStart, FromEarlierState
from stayfinite.experiments.remedies.growth_remedies import GrowthCandidate, growth_remedies
from stayfinite.experiments.remedies.rates import Rates, rates_of
from stayfinite.experiments.remedies.try_remedy import (
    FailureContext,
    MovingTargets,
    NoRepeatedGrowth,
    OutOfTime,
    RemedySearch,
    RepeatedGrowth,
)
from stayfinite.experiments.rollout import Rollout, roll_out
from stayfinite.experiments.time_limit import TimeLimit
from stayfinite.experiments.try_change import Experiment, NotTried, attempt
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Arrays, OnBatch, OnState, Unchanged
from stayfinite.frameworks.snapshots import Snapshot
from stayfinite.frameworks.step import Step

_MAX_STEPS = 150
# A few steps more than it took to fail, so that a slower growth shows.
_FURTHER = 1.2
_LONGER = 2.0
_FEWEST = 8
# So many times the steps, where both clipping and a lower rate keep them finite.
_TO_COMPARE = 4
# Seconds of the whole search.
_SECONDS = 10.0
# Targets that are data do not grow by this factor within the steps that are kept.
_MOVING = 30.0
# The loss of a batch goes up and down; up to this factor it is no growth.
_NOISE = 1.5


def find_remedy(context: FailureContext) -> RemedySearch:
    """The first remedy with which the same steps stay finite and the loss does not grow."""
    limit = TimeLimit(_SECONDS)
    moving = _moving_targets(context)
    if moving is not None:
        # The batches kept from the end are not those of a training from the start.
        return RemedySearch(growth=moving)
    batches = _batches(context)
    # The oldest first: at the newest the values may have grown already.
    for snapshot in reversed(context.snapshots):
        num_steps = context.number - snapshot.step + 1
        if num_steps > _MAX_STEPS:
            continue
        before = context.step.changed(OnState(snapshot.state))
        rates = rates_of(context.step, before)
        # Set by the user's code, the learning rate there is not what it was.
        start = before.changed(Arrays(rates.now)) if rates.now else before
        # With other batches it may grow more slowly.
        longest = min(_MAX_STEPS, int(_LONGER * num_steps) + _FEWEST)
        ordered = _in_order(batches, num_steps)
        again = attempt(functools.partial(roll_out, start, ordered, longest, limit.remaining))
        if not isinstance(again, NotTried) and not again.finite:
            return _search(context, start, snapshot, again, batches, rates, limit)
    return RemedySearch(unproved=NoRepeatedGrowth() if context.snapshots else None)


def _search(
    context: FailureContext,
    start: Step,
    snapshot: Snapshot,
    again: Rollout,
    batches: list[Batch],
    rates: Rates,
    limit: TimeLimit,
) -> RemedySearch:
    """Each remedy in turn, from the state of `snapshot` on, until one is shown."""
    num_steps = max(_FEWEST, math.ceil(_FURTHER * again.num_steps))
    search = RemedySearch(growth=RepeatedGrowth(snapshot.step, again))
    clipped: tuple[GrowthCandidate, Experiment] | None = None
    for candidate in growth_remedies(context, start, again, snapshot, rates):
        if limit.is_over:
            return search if clipped else dataclasses.replace(search, unproved=OutOfTime())
        change = FromEarlierState(candidate.remedy, snapshot.step, num_steps)
        experiment = _try(start, candidate, change, batches, again.num_steps, limit.remaining)
        if experiment.is_fix and isinstance(candidate.remedy, ClipFromStart):
            # Clipping bounds the steps at any rate. What learns more may be a lower one.
            clipped = candidate, experiment
        elif experiment.is_fix and clipped is not None:

            def longer(each: GrowthCandidate) -> Rollout:
                seconds, number = limit.remaining / 2, _TO_COMPARE * num_steps
                return _made_with(start, each, batches, again.num_steps, number, seconds)[0]

            is_lower_better = _is_better(longer(candidate), longer(clipped[0]), len(batches))
            tried = [
                dataclasses.replace(each, is_fix=False) if each is clipped[1] else each
                for each in search.experiments
            ]
            if is_lower_better:
                search = dataclasses.replace(search, experiments=tuple(tried))
            return search.then(dataclasses.replace(experiment, is_fix=is_lower_better))
        search = search.then(experiment)
        if experiment.is_fix and clipped is None:
            return search
    return search


def _is_better(one: Rollout, other: Rollout, num_batches: int) -> bool:
    """Whether the loss of `one` is lower after as many steps; that of the last ones in the mean."""
    end = min(one.num_steps, other.num_steps)
    first = max(0, end - num_batches)
    losses = [float(np.mean(each.losses[first:end])) for each in (one, other)]
    return losses[0] <= losses[1]


def _try(
    start: Step,
    candidate: GrowthCandidate,
    change: FromEarlierState,
    batches: list[Batch],
    num_failed: int,
    seconds: float,
) -> Experiment:
    began = time.perf_counter()

    def run() -> tuple[Rollout, list[float]]:
        return _made_with(start, candidate, batches, num_failed, change.num_steps, seconds)

    ran = attempt(run)
    took = time.perf_counter() - began
    if isinstance(ran, NotTried):
        return Experiment(change, ran, finite=False, seconds=took)
    rollout, first = ran
    finite = rollout.finite and rollout.complete
    return Experiment(change, rollout, finite, took, finite and _learns(rollout, first))


def _made_with(
    start: Step,
    candidate: GrowthCandidate,
    batches: list[Batch],
    num_failed: int,
    num_steps: int,
    seconds: float,
) -> tuple[Rollout, list[float]]:
    """`num_steps` steps with a remedy, and the loss of each batch before the first of them."""
    step, data = start, batches
    if candidate.divisors:
        divisors = dict(candidate.divisors)
        data = [batch.scaled(divisors) for batch in batches]
    for made in candidate.changes:
        step = step.changed(made)
    losses = [step.changed(OnBatch(batch)).run(Unchanged()).loss for batch in data]
    return roll_out(step, _in_order(data, num_failed), num_steps, seconds), losses


def _in_order(batches: Sequence[Batch], num_steps: int) -> list[Batch]:
    """The kept batches, turned so that the last one, the failing one, comes at the failing step."""
    first = -num_steps % len(batches)
    return [*batches[first:], *batches[:first]]


def _batches(context: FailureContext) -> list[Batch]:
    """The kept batches of the shape of the failing one, oldest first, that one last.

    On JAX each shape is a program of its own, and it may be the long sequence that makes it grow.
    """
    failing = context.step.batch
    shapes = failing.shapes()
    alike = [b for b in reversed(context.healthy) if b.shapes() == shapes]
    return [*alike, failing]


def _moving_targets(context: FailureContext) -> MovingTargets | None:
    """The targets that have grown along with the model that they are made by."""
    if len(context.healthy) < 2:
        return None
    first = context.healthy[-1].magnitudes()
    last = context.step.batch.magnitudes()
    for leaf in context.step.trace.leaves.values():
        before, now = first.get(leaf.name, 0.0), last.get(leaf.name, 0.0)
        if leaf.role == "target" and now > _MOVING * max(before, 1.0):
            return MovingTargets(leaf.name, before, now, len(context.healthy))
    return None


def _learns(rollout: Rollout, first: list[float]) -> bool:
    """Whether the loss at the end is no worse than that of the first weights.

    Args:
        rollout: The steps, all of them finite.
        first: The loss of each batch with the weights that the steps began with.
    """
    last = rollout.losses[-len(first) :]
    before, after = float(np.mean(first)), float(np.mean(last))
    # A loss may fall below 0 without end: that is growth, too.
    bounded = abs(min(last)) <= 100.0 * max(abs(before), 1.0)
    return bounded and after <= before + (_NOISE - 1.0) * abs(before) + 1e-6
