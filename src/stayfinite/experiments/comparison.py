"""Whether two runs of a step are equal but for roundings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.values import as_float
from stayfinite.experiments.rollout import is_good
from stayfinite.frameworks.change import Arrays, Unchanged
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.numerics.dtypes import HALF, spacing

# Relative to the largest gradient: one that is 0 by a symmetry of the loss is a sum of roundings.
_ROUNDING = 1e-6
# Rounding each weight once stands for the roundings of all operations, to this factor.
_SAFETY = 4.0
_MAX_RUNS = 8
_SECONDS = 5.0


@dataclass(frozen=True)
class RoundingError:
    """How far roundings alone may move a step.

    Args:
        loss: In units of the loss.
        gradients: In units of each gradient, by name: the largest over its elements.
    """

    loss: float
    gradients: dict[str, float]


def alike(
    one: Outcome, other: Outcome, tolerance: float, rounding: RoundingError | None = None
) -> bool:
    """Whether loss and gradients are equal but for roundings.

    Args:
        one: What the other is compared with.
        other: The same step, computed in another way.
        tolerance: Relative to the loss, and to the largest element of each gradient.
        rounding: How far the step is moved by roundings alone, if that may be more.
    """
    of_loss = 0.0 if rounding is None else rounding.loss
    if not _close(np.asarray(one.loss), np.asarray(other.loss), tolerance, of_loss):
        return False
    if one.gradients.keys() != other.gradients.keys():
        return False
    floor = _ROUNDING * max(map(_largest, one.gradients.values()), default=0.0)
    of_gradients = {} if rounding is None else rounding.gradients
    return all(
        _close(gradient, other.gradients[name], tolerance, floor + of_gradients.get(name, 0.0))
        for name, gradient in one.gradients.items()
    )


def alike_loss(one: float, other: float, tolerance: float) -> bool:
    """Whether two losses are equal but for roundings."""
    return _close(np.asarray(one), np.asarray(other), tolerance)


def half_dtype(step: Step) -> str | None:
    """The half-precision dtype that a part of `step` is in, if there is one."""
    dtypes = {value.dtype for value in step.trace.values.values()}
    return next((dtype for dtype in HALF if dtype in dtypes), None)


def rounding_errors(step: Step) -> Iterator[RoundingError]:
    """How far roundings alone may move `step`, in estimates that do not decrease.

    For each estimate the step is run again with each weight moved by one rounding of the narrowest
    dtype of the step. In a deep network with batch normalization over few samples the gradients may
    move by half. A relu whose operand is nearly 0 takes the other side in some of the runs only.
    There is no estimate where the step is not finite, and no further one after some seconds.
    """
    until = time.monotonic() + _SECONDS
    rng = np.random.default_rng(0)
    half = half_dtype(step)
    plain = step.run(Unchanged())
    if not is_good(plain):
        return
    weights = {
        name: array
        for name, array in step.state_arrays().items()
        if array.ndim and array.dtype.kind not in "biu"
    }
    found = RoundingError(0.0, dict.fromkeys(plain.gradients, 0.0))
    for number in range(_MAX_RUNS):
        if number and time.monotonic() > until:
            return
        moved = {n: _neighbour(a, half or str(a.dtype), rng) for n, a in weights.items()}
        rounded = step.run(Arrays(moved))
        if not is_good(rounded):
            return
        error = _moved(plain, rounded)
        found = RoundingError(
            max(found.loss, error.loss),
            {name: max(found.gradients[name], other) for name, other in error.gradients.items()},
        )
        yield found


def _moved(plain: Outcome, rounded: Outcome) -> RoundingError:
    errors = {n: _distance(g, rounded.gradients[n]) for n, g in plain.gradients.items()}
    # One that moved little by chance is allowed what the others moved, relative to its size.
    sizes = {name: _largest(gradient) for name, gradient in plain.gradients.items()}
    usual = float(np.median([errors[name] / max(sizes[name], 1e-30) for name in errors] or [0.0]))
    return RoundingError(
        _SAFETY * abs(plain.loss - rounded.loss),
        {name: _SAFETY * max(errors[name], usual * sizes[name]) for name in errors},
    )


def _neighbour(array: np.ndarray, dtype: str, rng: np.random.Generator) -> np.ndarray:
    """Each element moved by one rounding of `dtype`, up or down; zeros stay."""
    sides = rng.choice([-1.0, 1.0], array.shape)
    moved: np.ndarray = as_float(array).astype("float64") * (1.0 + sides * spacing(dtype))
    return moved.astype(array.dtype)


def _close(one: np.ndarray, other: np.ndarray, tolerance: float, rounding: float = 0.0) -> bool:
    allowed = tolerance * _largest(one) + rounding + 1e-12
    return one.shape == other.shape and _distance(one, other) <= allowed


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    difference = as_float(one).astype("float64") - as_float(other).astype("float64")
    return float(np.max(np.abs(difference), initial=0.0))


def _largest(array: np.ndarray) -> float:
    return float(np.max(np.abs(as_float(array).astype("float64")), initial=0.0))
