"""Compare a patched program on healthy steps, and see whether training goes on from there."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Sequence
from enum import Enum, auto

from stayfinite.experiments.comparison import RoundingError, alike, half_dtype, rounding_errors
from stayfinite.experiments.rollout import goes_on, is_good
from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import OnBatch
from stayfinite.frameworks.step import Outcome, Step

# Seconds: of the healthy steps, and of the steps after the failing one.
_SECONDS = 4.0
_SECONDS_AFTER = 2.0
_MAX_BYTES = 2**28
# How many times its loss the batch may have some steps later; in any training it goes up and down.
_GROWTH = 10.0
# A bound so far above every healthy loss leaves gradients that the moments of an optimizer never
# forget: Adam divides by their root for the rest of the training.
_FAR = 1e6
# Two correct ways to write one thing differ by a few roundings, more after a sum over a batch.
_TOLERANCE = 1e-3
# A few roundings of float16, where a part of the step is in it.
_HALF_TOLERANCE = 5e-2


class Objection(Enum):
    """Why a patch with which the failing step is finite is not verified."""

    CHANGES_HEALTHY_STEPS = auto()
    DOES_NOT_GO_ON = auto()


class HealthySteps:
    """The healthy batches, and what the unpatched code computes on them."""

    def __init__(self, step: Step, batches: Sequence[Batch]) -> None:
        self._step = step
        self._batches = batches

    def count(self) -> int:
        """How many healthy steps there are. They are run now, if they were not before."""
        return len(self._unpatched)

    def objection(self, step: Step, outcome: Outcome) -> Objection | NotTried | None:
        """Why a patch with which the failing step is finite is not verified; None if it is.

        Args:
            step: The failing step with the patch in place.
            outcome: What it gives.
        """
        seconds = 0.0
        for batch, before in self._unpatched:
            began = time.monotonic()
            after = attempt(functools.partial(step.run, OnBatch(batch)))
            if isinstance(after, NotTried):
                return after
            seconds += time.monotonic() - began
            if alike(before, after, self.tolerance):
                continue
            rounding = attempt(functools.partial(_rounding_error, step, batch))
            if isinstance(rounding, NotTried):
                return rounding
            if not alike(before, after, self.tolerance, rounding):
                return Objection.CHANGES_HEALTHY_STEPS
        if seconds / max(self.count(), 1) > _SECONDS_AFTER / 2:
            # There is time for one more such step, which would show nothing.
            return None
        on = attempt(
            lambda: goes_on(step, outcome, self._batches, growth=_GROWTH, seconds=_SECONDS_AFTER)
        )
        if isinstance(on, NotTried):
            return on
        return None if on else Objection.DOES_NOT_GO_ON

    def is_far_below(self, loss: float) -> bool:
        """Whether every healthy loss is smaller than `loss` by orders of magnitude."""
        largest = max((abs(before.loss) for _, before in self._unpatched), default=math.inf)
        return abs(loss) > _FAR * max(largest, 1.0)

    @functools.cached_property
    def _unpatched(self) -> list[tuple[Batch, Outcome]]:
        """The steps with what the unpatched code made of them, within time and memory."""
        found: list[tuple[Batch, Outcome]] = []
        until = time.monotonic() + _SECONDS
        num_bytes = 0
        for batch in self._batches:
            outcome = self._step.run(OnBatch(batch))
            if is_good(outcome):
                found.append((batch, outcome))
                num_bytes += sum(gradient.nbytes for gradient in outcome.gradients.values())
            if time.monotonic() > until or num_bytes > _MAX_BYTES:
                break
        return found

    @functools.cached_property
    def tolerance(self) -> float:
        """How far two correct ways to write the step may differ, relative to its values."""
        return _TOLERANCE if half_dtype(self._step) is None else _HALF_TOLERANCE


def _rounding_error(step: Step, batch: Batch) -> RoundingError | None:
    return next(rounding_errors(step.changed(OnBatch(batch))), None)
