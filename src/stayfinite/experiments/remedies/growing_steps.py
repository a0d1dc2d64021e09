"""The steps of a growth, made again from an earlier state, unchanged or with one thing changed."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stayfinite.experiments.changes import FromEarlierState
from stayfinite.experiments.remedies.growth_remedies import GrowthCandidate
from stayfinite.experiments.remedies.rates import Rates, rates_of
from stayfinite.experiments.remedies.try_remedy import FailureContext
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
# The loss of a batch goes up and down; up to this factor it is no growth.
_NOISE = 1.5


@dataclass(frozen=True)
class GrowingSteps:
    """The steps from `snapshot` on, which fail when they are made again.

    Args:
        snapshot: An earlier state.
        start: The first step, at the learning rate of now.
        rates: The learning rates there and at the failing step.
        again: What the steps gave.
    """

    snapshot: Snapshot
    start: Step
    rates: Rates
    again: Rollout

    @property
    def num_steps(self) -> int:
        """How many steps a remedy has to keep finite."""
        return max(_FEWEST, math.ceil(_FURTHER * self.again.num_steps))


def repeated(
    context: FailureContext, snapshot: Snapshot, batches: list[Batch], limit: TimeLimit
) -> GrowingSteps | None:
    """The steps from `snapshot` on, made again; None where that is too many, or they are finite."""
    num_steps = context.number - snapshot.step + 1
    if num_steps > _MAX_STEPS:
        return None
    before = context.step.changed(OnState(snapshot.state))
    rates = rates_of(context.step, before, snapshot.rate)
    # Set by the user's code, the learning rate there is not what it was.
    start = before.changed(Arrays(rates.now)) if rates.now else before
    # With other batches it may grow more slowly.
    longest = min(_MAX_STEPS, int(_LONGER * num_steps) + _FEWEST)
    ordered = _in_order(batches, num_steps)
    again = attempt(functools.partial(roll_out, start, ordered, longest, limit.remaining))
    if isinstance(again, NotTried) or again.finite:
        return None
    return GrowingSteps(snapshot, start, rates, again)


def made_with(
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


def try_candidate(
    start: Step,
    candidate: GrowthCandidate,
    change: FromEarlierState,
    batches: list[Batch],
    num_failed: int,
    seconds: float,
) -> Experiment:
    """`change`, that is `candidate`: the fix if its steps are finite and its loss does not grow."""
    began = time.perf_counter()

    def run() -> tuple[Rollout, list[float]]:
        return made_with(start, candidate, batches, num_failed, change.num_steps, seconds)

    ran = attempt(run)
    took = time.perf_counter() - began
    if isinstance(ran, NotTried):
        return Experiment(change, ran, finite=False, seconds=took)
    rollout, first = ran
    finite = rollout.finite and rollout.complete
    return Experiment(change, rollout, finite, took, finite and _learns(rollout, first))


def mean_loss(growth: GrowingSteps, batches: list[Batch]) -> float:
    """The mean loss of `batches` with the weights before the steps."""
    steps = [growth.start.changed(OnBatch(batch)) for batch in batches]
    return float(np.mean([step.run(Unchanged()).loss for step in steps]))


def _in_order(batches: Sequence[Batch], num_steps: int) -> list[Batch]:
    """The kept batches, turned so that the last one, the failing one, comes at the failing step."""
    first = -num_steps % len(batches)
    return [*batches[first:], *batches[:first]]


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
