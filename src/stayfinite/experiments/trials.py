"""The common advice, tried on the step that failed.

"Not the learning rate" is a result: the same step, with only that changed, is still non-finite.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from stayfinite.diagnose.numbers import samples_named
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import (
    Change,
    ClipNorm,
    ClipValue,
    LearningRate,
    OnBatch,
    WiderDtype,
    WithoutSamples,
)
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.incident import Trial

# A report is not to be waited for: convolutions in float64 are an order of magnitude slower.
_LONGEST_FOR_FLOAT64 = 2.0
# Of the first run, which may have to compile the step; in float64 that is done once more.
_LONGEST_FIRST_RUN = 4.0


def common_advice(step: Step, first_run: float) -> tuple[list[Trial], list[str]]:
    """Learning rate / 10, clipnorm 1, clipvalue 0.5 and float64, each on its own; and notes.

    float64 is left out where one run of the step takes seconds.

    Args:
        step: The failing step.
        first_run: Seconds of the first run of it, compiling included.
    """
    began = time.perf_counter()
    tried = [_tried(step, "learning rate / 10", LearningRate(0.1))]
    seconds = time.perf_counter() - began
    tried += [
        _tried(step, "clipnorm=1", ClipNorm(1.0)),
        _tried(step, "clipvalue=0.5", ClipValue(0.5)),
    ]
    if seconds > _LONGEST_FOR_FLOAT64 or first_run > _LONGEST_FIRST_RUN:
        return tried, [
            f"float64 was not tried: this step takes {max(seconds, first_run):.0f} s in its own "
            "precision, and many times that in float64"
        ]
    return [*tried, _tried(step, "float64", WiderDtype())], []


def without(samples: Sequence[int]) -> str:
    """The name of the trial that leaves out `samples`."""
    return f"without {samples_named(samples)}"


def other_samples(
    step: Step, samples: tuple[int, ...] | None, healthy: list[tuple[int, Batch]]
) -> Trial | None:
    """The step without the suspect samples, or on the batch before if no other sample is left."""
    num_samples = step.trace.num_samples
    if samples and num_samples and len(samples) < num_samples:
        return _tried(step, without(samples), WithoutSamples(samples))
    if healthy:
        number, batch = healthy[0]
        return _tried(step, f"the batch of step {number} in its place", OnBatch(batch))
    return None


def outcome_of(change: str, run: Callable[[], Outcome]) -> Trial:
    """A trial from a run; a run that fails to run is told as such, and counts as non-finite."""
    try:
        outcome = run()
    except Exception as error:
        # A trial is a courtesy: whatever the user's step raises under it must not hide the report.
        return Trial(change, "non-finite", f"could not be tried: {type(error).__name__}: {error}")
    return Trial(change, "finite" if outcome.finite else "non-finite", outcome.in_words())


def _tried(step: Step, name: str, change: Change) -> Trial:
    return outcome_of(name, lambda: step.run(change))
