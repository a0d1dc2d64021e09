"""`divergence`: repeat the steps from an earlier state, with one thing changed.

First the steps are repeated unchanged: a remedy is shown only if they fail without it. If there are
more steps than kept batches, the batches are used in turn.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from stayfinite.experiments.changes import (
    ClipFromStart,
    EarlierRate,
    FromEarlierState,
    NarrowWeights,
    ScaledData,
)
from stayfinite.experiments.remedies.growing_steps import (
    GrowingSteps,
    made_with,
    mean_loss,
    repeated,
    try_candidate,
)
from stayfinite.experiments.remedies.growth_remedies import (
    GrowthCandidate,
    earlier_rate,
    growth_remedies,
)
from stayfinite.experiments.remedies.try_remedy import (
    FailureContext,
    MovingTargets,
    NoRepeatedGrowth,
    OutOfTime,
    RemedySearch,
    RepeatedGrowth,
)
from stayfinite.experiments.rollout import Rollout
from stayfinite.experiments.time_limit import TimeLimit
from stayfinite.experiments.try_change import Experiment
from stayfinite.frameworks.batch import Batch

# So many times the steps, where both clipping and a lower rate keep them finite.
_TO_COMPARE = 4
# Seconds of the whole search.
_SECONDS = 10.0
# Targets that are data do not grow by this factor within the steps that are kept.
_MOVING = 30.0


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
        growth = repeated(context, snapshot, batches, limit)
        if growth is not None:
            search = _search(context, growth, batches, limit)
            return _from_newest(context, growth, search, batches, limit)
    return RemedySearch(unproved=NoRepeatedGrowth() if context.snapshots else None)


def _search(
    context: FailureContext, growth: GrowingSteps, batches: list[Batch], limit: TimeLimit
) -> RemedySearch:
    """Each remedy in turn, from the state of the snapshot on, until one is shown."""
    start, snapshot, again = growth.start, growth.snapshot, growth.again
    num_steps = growth.num_steps
    rates = growth.rates
    rate = None if rates.first == rates.last else rates.last
    search = RemedySearch(growth=RepeatedGrowth(snapshot.step, again, rate))
    clipped: tuple[GrowthCandidate, Experiment] | None = None
    for candidate in _candidates(context, growth):
        if limit.is_over:
            return search if clipped else dataclasses.replace(search, unproved=OutOfTime())
        change = FromEarlierState(candidate.remedy, snapshot.step, num_steps)
        experiment = try_candidate(
            start, candidate, change, batches, again.num_steps, limit.remaining
        )
        if experiment.is_fix and isinstance(candidate.remedy, ClipFromStart):
            # Clipping bounds the steps at any rate. What learns more may be a lower one.
            clipped = candidate, experiment
        elif experiment.is_fix and clipped is not None:

            def longer(each: GrowthCandidate) -> Rollout:
                seconds, number = limit.remaining / 2, _TO_COMPARE * num_steps
                return made_with(start, each, batches, again.num_steps, number, seconds)[0]

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


def _candidates(context: FailureContext, growth: GrowingSteps) -> Iterator[GrowthCandidate]:
    return growth_remedies(context, growth.start, growth.again, growth.snapshot, growth.rates)


def _from_newest(
    context: FailureContext,
    oldest: GrowingSteps,
    search: RemedySearch,
    batches: list[Batch],
    limit: TimeLimit,
) -> RemedySearch:
    """`search`, its remedy shown from the newest state that is as good as the oldest, if it is.

    A training that goes on from there has fewer steps to make again. A state is as good if the
    kept batches have no higher loss with it: nothing has grown until then.
    """
    proved = search.proved
    if proved is None or not isinstance(proved.change, FromEarlierState):
        return search
    remedy = proved.change.remedy
    if isinstance(remedy, NarrowWeights | ScaledData):
        return search  # one for the beginning of the training
    candidate = next(each for each in _candidates(context, oldest) if each.remedy == remedy)
    for snapshot in context.snapshots:
        if snapshot.step <= oldest.snapshot.step or limit.is_over:
            break
        growth = repeated(context, snapshot, batches, limit)
        if growth is None or not mean_loss(growth, batches) <= mean_loss(oldest, batches):
            continue
        for there in _there(context, candidate, growth):
            change = FromEarlierState(there.remedy, snapshot.step, growth.num_steps)
            num_failed = growth.again.num_steps
            shown = try_candidate(growth.start, there, change, batches, num_failed, limit.remaining)
            if shown.is_fix:
                tried = tuple(shown if each is proved else each for each in search.experiments)
                return dataclasses.replace(search, experiments=tried)
    return search


def _there(
    context: FailureContext, candidate: GrowthCandidate, growth: GrowingSteps
) -> Iterator[GrowthCandidate]:
    """A remedy of an older state in a newer one: an earlier rate is first that of the newer one."""
    remedy, rates = candidate.remedy, growth.rates
    if isinstance(remedy, EarlierRate) and remedy.before < rates.first < rates.last:
        yield earlier_rate(context, rates)
    yield candidate


def _is_better(one: Rollout, other: Rollout, num_batches: int) -> bool:
    """Whether the loss of `one` is lower after as many steps; that of the last ones in the mean."""
    end = min(one.num_steps, other.num_steps)
    first = max(0, end - num_batches)
    losses = [float(np.mean(each.losses[first:end])) for each in (one, other)]
    return losses[0] <= losses[1]


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
