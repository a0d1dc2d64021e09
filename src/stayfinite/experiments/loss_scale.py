"""Runs of a step with the gradients that a loss scale hides.

A `LossScaleOptimizer` skips a step whose scaled gradients are not finite and lowers its scale. A
fix is right only if there is a scale at which they are finite, and if they are those of the
reference there.
"""

from __future__ import annotations

import math

from stayfinite.frameworks.change import LossScale, Unchanged
from stayfinite.frameworks.optimizers import loss_scale_paths
from stayfinite.frameworks.step import Outcome, Step

_FACTOR = 16.0


def run_unscaled(step: Step) -> tuple[Step, Outcome]:
    """The step at the largest loss scale at which its gradients are finite, and its outcome.

    The gradients are divided by the scale. At a scale of 1 they may be non-finite. Without a loss
    scale it is the step as it is.
    """
    scale = _scale(step)
    if scale is None:
        return step, step.run(Unchanged())
    while True:
        step = step.changed(LossScale(scale))
        outcome = step.run(Unchanged())
        if scale <= 1.0 or not outcome.bad_gradients or not math.isfinite(outcome.loss):
            return step, outcome
        scale = max(1.0, scale / _FACTOR)


def is_skipped(step: Step, unscaled: Step) -> bool:
    """Whether the loss scale of `step` is larger than that at which its gradients are finite."""
    return (_scale(step) or 1.0) > (_scale(unscaled) or 1.0)


def _scale(step: Step) -> float | None:
    paths = loss_scale_paths(step.subject.optimizers)
    if not paths:
        return None
    arrays = step.state_arrays()
    return max(1.0, *(float(arrays[path]) for path in paths))
