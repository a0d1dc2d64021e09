"""The common advice, and other samples, tried on the failing step.

A trial that is still non-finite shows that its setting is not the cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stayfinite.diagnose.float64_run import Float64Run
from stayfinite.experiments.changes import OtherBatch
from stayfinite.experiments.try_change import Experiment, NotTried, try_change
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import (
    ClipNorm,
    ClipValue,
    LearningRate,
    OnBatch,
    WiderDtype,
    WithoutSamples,
)
from stayfinite.frameworks.step import Step

# Seconds. Convolutions in float64 are an order of magnitude slower.
_LONGEST_FOR_FLOAT64 = 2.0
# Seconds of the first run, which may compile the step; for float64 it is compiled again.
_LONGEST_FIRST_RUN = 4.0


@dataclass(frozen=True)
class Advice:
    """The experiments that were made.

    Args:
        experiments: One for each change.
        too_slow: The seconds of one run, where float64 was left out for them.
        too_slow_to_compile: The same of the first run, which compiled the step.
    """

    experiments: tuple[Experiment, ...]
    too_slow: float | None = None
    too_slow_to_compile: float | None = None


def try_advice(step: Step, wider: Float64Run, first_run: float) -> Advice:
    """Learning rate / 10, clipnorm 1, clipvalue 0.5 and float64, each on its own.

    float64 is left out where one run of the step takes seconds.

    Args:
        step: The failing step.
        wider: It in float64.
        first_run: Seconds of its first run, compiling included.
    """
    rate = _try_rate(step, LearningRate(0.1))
    norm, value = ClipNorm(1.0), ClipValue(0.5)
    tried = (
        rate,
        try_change(norm, lambda: step.run(norm)),
        try_change(value, lambda: step.run(value)),
    )
    if rate.seconds > _LONGEST_FOR_FLOAT64:
        return Advice(tried, too_slow=rate.seconds)
    if first_run > _LONGEST_FIRST_RUN:
        return Advice(tried, too_slow_to_compile=first_run)
    return Advice((*tried, try_change(WiderDtype(), lambda: wider.outcome)))


def _try_rate(step: Step, change: LearningRate) -> Experiment:
    reason = step.subject.fixed_rate
    if reason is not None:
        return Experiment(change, NotTried(None, reason), finite=False)
    return try_change(change, lambda: step.run(change))


def try_other_samples(
    step: Step, samples: tuple[int, ...] | None, healthy: Sequence[tuple[int, Batch]]
) -> Experiment | None:
    """The step without `samples`, or on the batch before if no other sample is left.

    Args:
        step: The failing step.
        samples: Those that the finding names; None where it names none.
        healthy: The number of each step before it, and its batch, newest first.
    """
    num_samples = step.trace.num_samples
    if samples and num_samples and len(samples) < num_samples:
        without = WithoutSamples(samples)
        return try_change(without, lambda: step.run(without))
    if healthy:
        number, batch = healthy[0]
        return try_change(OtherBatch(number), lambda: step.run(OnBatch(batch)))
    return None
