"""Several training steps from one state on, each on the state after the previous one.

One step cannot prove a remedy for values that grew over many. And a step that is finite may leave
weights with which the loss no longer falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stayfinite.experiments.time_limit import TimeLimit
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import OnBatch, OnState, Unchanged
from stayfinite.frameworks.step import Outcome, Step


@dataclass(frozen=True)
class Rollout:
    """The result of a run of several steps.

    Args:
        losses: The loss of each step that was made, the last one included.
        finite: Whether all of them were finite: loss, gradients and new state.
        complete: Whether all were made; if not, one was non-finite or the time was over.
    """

    losses: tuple[float, ...]
    finite: bool
    complete: bool

    @property
    def num_steps(self) -> int:
        """Steps made."""
        return len(self.losses)


def roll_out(step: Step, batches: Sequence[Batch], num_steps: int, seconds: float) -> Rollout:
    """Run up to `num_steps` steps, on `batches` in turn, from the state of `step` on.

    Args:
        step: The state to begin with, and what is different about each step.
        batches: At least one; they are used again and again.
        num_steps: Steps to make. It stops earlier at the first one that is non-finite.
        seconds: No further step is begun after so many.
    """
    losses: list[float] = []
    limit = TimeLimit(seconds)
    for number in range(num_steps):
        if losses and limit.is_over:
            return Rollout(tuple(losses), finite=True, complete=False)
        step = step.changed(OnBatch(batches[number % len(batches)]))
        # Requested first, so that an eager step is run only once.
        state = step.after()
        outcome = step.run(Unchanged())
        losses.append(outcome.loss)
        if not is_good(outcome):
            return Rollout(tuple(losses), finite=False, complete=False)
        step = step.changed(OnState(state))
    return Rollout(tuple(losses), finite=True, complete=True)


def is_good(outcome: Outcome) -> bool:
    """Whether loss, gradients and new state of a step are finite."""
    return outcome.finite and not outcome.bad_gradients


def goes_on(
    step: Step,
    outcome: Outcome,
    healthy: Sequence[Batch],
    *,
    growth: float,
    seconds: float,
    num_steps: int = 4,
) -> bool:
    """Whether training goes on from `step`: further steps are finite, and the loss stays bounded.

    Args:
        step: The step as it is to be made from now on.
        outcome: What it gives.
        healthy: Batches for the steps between: the batch of `step` is the first and the last.
        growth: How many times its loss that batch may have in the end. If it has more, the batches
            between decide: an outlier has a loss of its own.
        seconds: No further step is begun after so many.
        num_steps: Steps to make.
    """
    own, between = step.batch, list(healthy[: num_steps - 2])
    batches = [own, *between, own]
    further = roll_out(step, batches, len(batches), seconds)
    if not further.finite:
        return False
    if _is_bounded(further.losses[-1], outcome.loss, growth):
        return True
    # Without the last step, which was one on the batch in question.
    ended = further.losses[1 : 1 + len(between)]
    return bool(ended) and all(
        _is_bounded(loss, step.changed(OnBatch(batch)).run(Unchanged()).loss, growth)
        for batch, loss in zip(between, ended, strict=False)
    )


def _is_bounded(loss: float, before: float, growth: float) -> bool:
    return abs(loss) <= growth * max(abs(before), 1e-3)
