"""Try a remedy on the failing step and on a few steps after it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.float64_run import Float64Run
from stayfinite.diagnose.locate import Diagnosis
from stayfinite.experiments.changes import (
    BadInitializer,
    NewMomentum,
    OptimizerSetting,
    Remedy,
    WiderLayer,
)
from stayfinite.experiments.rollout import Rollout, goes_on, is_good
from stayfinite.experiments.try_change import Experiment, NotTried, attempt
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Change, Unchanged
from stayfinite.frameworks.snapshots import Snapshot
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.graph.graph import Span

# Seconds for the steps after the failing one.
_SECONDS = 4.0
# Batches differ, so the loss goes up and down; beyond this factor it has become worse.
_WORSE = 2.0


@dataclass(frozen=True)
class FailureContext:
    """The failing step, it in float64, its number, and what was kept from before, newest first.

    The snapshots have the form of the state of the step.
    """

    step: Step
    outcome: Outcome
    diagnosis: Diagnosis
    wider: Float64Run
    healthy: Sequence[Batch] = ()
    number: int = 0
    snapshots: Sequence[Snapshot] = ()

    @property
    def finding(self) -> Finding:
        """The cause with its facts."""
        return self.diagnosis.finding


# What the trials showed to be at fault, beyond the facts of the finding.
AtFault = OptimizerSetting | NewMomentum | WiderLayer | BadInitializer


@dataclass(frozen=True)
class RepeatedGrowth:
    """The steps from `first` on, repeated unchanged, fail again.

    `rate` is the learning rate of the failing step, where that at `first` was another: the steps
    are made again with it.
    """

    first: int
    rollout: Rollout
    rate: float | None = None


@dataclass(frozen=True)
class MovingTargets:
    """The target `tensor` grew `before` to `now` in `num_steps` steps, so the model makes it."""

    tensor: str
    before: float
    now: float
    num_steps: int


@dataclass(frozen=True)
class NoRepeatedGrowth:
    """The steps from earlier states on, repeated unchanged, stay finite."""


@dataclass(frozen=True)
class OutOfTime:
    """There was no time for the remaining remedies."""


@dataclass(frozen=True)
class RemedySearch:
    """What came of a search for a remedy.

    Args:
        experiments: What was tried. The one marked as the fix shows the remedy.
        at_fault: What is at fault, where the experiments showed it.
        span: The user's line, where the finding has none.
        growth: What the steps before show about the growth.
        unproved: Why no remedy of a growth is shown.
    """

    experiments: tuple[Experiment, ...] = ()
    at_fault: AtFault | None = None
    span: Span | None = None
    growth: RepeatedGrowth | MovingTargets | None = None
    unproved: NoRepeatedGrowth | OutOfTime | None = None

    @property
    def proved(self) -> Experiment | None:
        """The experiment that shows the remedy."""
        return next((tried for tried in self.experiments if tried.is_fix), None)

    def then(self, experiment: Experiment) -> RemedySearch:
        """This search and one more experiment."""
        return dataclasses.replace(self, experiments=(*self.experiments, experiment))


def try_remedy(
    context: FailureContext, remedy: Remedy, *changes: Change, growth: float = _WORSE
) -> Experiment:
    """The failing step with all of `changes`; the fix if training goes on from there.

    Training goes on if a few more steps are finite, and the loss of its batch has not become more
    than `growth` times what it was.
    """
    began = time.perf_counter()

    def run() -> tuple[Outcome, bool]:
        step = context.step
        for change in changes:
            step = step.changed(change)
        outcome = step.run(Unchanged())
        healthy = context.healthy
        good = is_good(outcome)
        on = good and goes_on(step, outcome, healthy, growth=growth, seconds=_SECONDS)
        return outcome, on

    ran = attempt(run)
    seconds = time.perf_counter() - began
    if isinstance(ran, NotTried):
        return Experiment(remedy, ran, finite=False, seconds=seconds)
    outcome, on = ran
    return Experiment(remedy, outcome, is_good(outcome), seconds, is_fix=on)
