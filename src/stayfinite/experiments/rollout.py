"""Several steps of a training again, from one state on, each on what the one before left.

One step cannot prove a remedy for what grew over many, and a step that is finite may leave weights
behind with which nothing is learnt any more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import OnBatch, OnState, Unchanged
from stayfinite.frameworks.step import Outcome, Step


@dataclass(frozen=True)
class Course:
    """What a run of several steps gave.

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

    def in_words(self) -> str:
        """`loss 0.31 at first, 0.24 at last`, for the detail of a trial."""
        if not self.losses:
            return "no step was made"
        return f"loss {self.losses[0]:.4g} at first, {self.losses[-1]:.4g} at last"


def course(step: Step, batches: Sequence[Batch], num_steps: int, seconds: float) -> Course:
    """Run up to `num_steps` steps, on `batches` in turn, from the state of `step` on.

    Args:
        step: The state to begin with, and what is different about each step.
        batches: At least one; they are gone through again and again.
        num_steps: Steps to make. It stops earlier at the first one that is non-finite.
        seconds: It begins no further step after so many.
    """
    losses: list[float] = []
    until = time.monotonic() + seconds
    for number in range(num_steps):
        if losses and time.monotonic() > until:
            return Course(tuple(losses), finite=True, complete=False)
        step = step.changed(OnBatch(batches[number % len(batches)]))
        # Asked for first: an eager step is then run only once.
        state = step.after()
        outcome = step.run(Unchanged())
        losses.append(outcome.loss)
        if not is_good(outcome):
            return Course(tuple(losses), finite=False, complete=False)
        step = step.changed(OnState(state))
    return Course(tuple(losses), finite=True, complete=True)


def is_good(outcome: Outcome) -> bool:
    """Whether a step was finite in all that the guard looks at."""
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
    """Whether a training goes on from `step`: further steps are finite and still learn.

    Args:
        step: The step as it is to be made from now on.
        outcome: What it gives.
        healthy: Batches for the steps between: the batch of `step` is the first and the last.
        growth: How many times its loss that batch may have in the end. If it has more, the batches
            between decide: a sample that is far out has a loss of its own.
        seconds: No further step is begun after so many.
        num_steps: Steps to make.
    """
    own, between = step.batch, list(healthy[: num_steps - 2])
    batches = [own, *between, own]
    further = course(step, batches, len(batches), seconds)
    if not further.finite:
        return False
    if _no_worse(further.losses[-1], outcome.loss, growth):
        return True
    # Without the last step, which was one on the batch in question.
    ended = further.losses[1 : 1 + len(between)]
    return bool(ended) and all(
        _no_worse(loss, step.changed(OnBatch(batch)).run(Unchanged()).loss, growth)
        for batch, loss in zip(between, ended, strict=False)
    )


def _no_worse(loss: float, before: float, growth: float) -> bool:
    return abs(loss) <= growth * max(abs(before), 1e-3)
