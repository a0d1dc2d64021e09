"""Whether two runs of a step are equal but for roundings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from stayfinite.experiments.rollout import is_good
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Arrays, OnBatch, Unchanged
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.numerics.dtypes import HALF, spacing, widened

# Two correct forms of a formula differ by a few roundings, more after a sum over a batch.
TOLERANCE = 1e-3
# Relative to a loss: what roundings rarely move it by in float32, and a clamp often does.
MOVED = 1e-5
# Where a part of the step is in half precision, its last operations are rounded to it: a sum and
# a mean, each by half the spacing, in either of the two. What earlier roundings do is measured.
_HALF_ROUNDINGS = 2.0
# The same for gradients that are compared with those of float64: each is a sum over a batch.
_NEAR_GRADIENTS = 3e-3
# Relative to the largest gradient: one that is 0 by a symmetry of the loss is a sum of roundings.
_ROUNDING = 1e-6
# Rounding each weight once stands for the roundings of all operations, to this factor.
_SAFETY = 4.0
# Half precision flushes what is much smaller to 0, relative to the largest gradient.
_FLUSHED = 1e-3
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
    floor = (_ROUNDING if tolerance <= TOLERANCE else _FLUSHED) * largest_gradient(one)
    of_gradients = {} if rounding is None else rounding.gradients
    return all(
        _close(gradient, other.gradients[name], tolerance, floor + of_gradients.get(name, 0.0))
        for name, gradient in one.gradients.items()
    )


def alike_within(
    one: Outcome,
    other: Outcome,
    tolerance: float,
    rounding: Callable[[], Iterable[RoundingError]],
) -> bool:
    """Whether they are alike, or else alike by one of the errors, which take runs of the step."""
    return alike(one, other, tolerance) or any(
        alike(one, other, tolerance, error) for error in rounding()
    )


def equal(one: Outcome, other: Outcome) -> bool:
    """Whether two runs have the same loss and gradients, element by element."""
    if one.loss != other.loss or one.gradients.keys() != other.gradients.keys():
        return False
    return all(np.array_equal(one.gradients[name], other.gradients[name]) for name in one.gradients)


def alike_loss(one: float, other: float, tolerance: float) -> bool:
    """Whether two losses are equal but for roundings."""
    return _close(np.asarray(one), np.asarray(other), tolerance)


def half_dtype(step: Step) -> str | None:
    """The half-precision dtype that a part of `step` is in, if there is one."""
    dtypes = {value.dtype for value in step.trace.values.values()}
    return next((dtype for dtype in HALF if dtype in dtypes), None)


def tolerance(step: Step) -> float:
    """How far two correct ways to write `step` may differ, relative to its values."""
    half = half_dtype(step)
    return TOLERANCE if half is None else TOLERANCE + _HALF_ROUNDINGS * spacing(half)


def is_near(reference: Outcome, outcome: Outcome) -> bool:
    """Whether a step in half precision has the loss of float64 to more digits than that dtype."""
    same_loss = alike_loss(reference.loss, outcome.loss, TOLERANCE)
    return same_loss and alike(reference, outcome, _NEAR_GRADIENTS)


def rounding_errors(step: Step) -> Iterator[RoundingError]:
    """How far roundings alone may move `step`, in estimates that do not decrease.

    For each estimate the step is run again with each weight moved by one rounding of the narrowest
    dtype of the step, and each input, too, where that is half precision. In a deep network with
    batch normalization over few samples the gradients may move by half. A relu whose operand is
    nearly 0 takes the other side in some of the runs only. There is no estimate where the step is
    not finite, and no further one after some seconds.
    """
    until = time.process_time() + _SECONDS
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
        if number and time.process_time() > until:
            return
        moved = {n: _neighbour(a, half or str(a.dtype), rng) for n, a in weights.items()}
        near = step if half is None else step.changed(OnBatch(_rounded(step.batch, half, rng)))
        rounded = near.run(Arrays(moved))
        if not is_good(rounded):
            return
        error = _moved(plain, rounded)
        found = RoundingError(
            max(found.loss, error.loss),
            {name: max(found.gradients[name], other) for name, other in error.gradients.items()},
        )
        yield found


def shares(exact: Outcome, outcome: Outcome) -> dict[str, float]:
    """How far each gradient is from the exact one, relative to its largest element."""
    return {
        name: _distance(gradient, outcome.gradients[name]) / max(_largest(gradient), 1e-30)
        for name, gradient in exact.gradients.items()
        if name in outcome.gradients
    }


def gradient_error(exact: Outcome, outcome: Outcome) -> float:
    """How far the gradients are from the exact ones, relative to the largest element of all."""
    distances = (
        _distance(gradient, outcome.gradients[name])
        for name, gradient in exact.gradients.items()
        if name in outcome.gradients
    )
    return max(distances, default=0.0) / max(largest_gradient(exact), 1e-30)


def largest_gradient(outcome: Outcome) -> float:
    """The largest element of the gradients."""
    return max(map(_largest, outcome.gradients.values()), default=0.0)


def added(errors: Iterable[RoundingError], other: RoundingError) -> Iterator[RoundingError]:
    """`other`, then each error with it."""
    yield other
    for error in errors:
        names = {*error.gradients, *other.gradients}
        sums = {n: error.gradients.get(n, 0.0) + other.gradients.get(n, 0.0) for n in names}
        yield RoundingError(error.loss + other.loss, sums)


def _moved(plain: Outcome, rounded: Outcome) -> RoundingError:
    errors = {n: _distance(g, rounded.gradients[n]) for n, g in plain.gradients.items()}
    # One that moved little by chance is allowed what the others moved, relative to its size.
    sizes = {name: _largest(gradient) for name, gradient in plain.gradients.items()}
    usual = float(np.median([errors[name] / max(sizes[name], 1e-30) for name in errors] or [0.0]))
    return RoundingError(
        _SAFETY * abs(plain.loss - rounded.loss),
        {name: _SAFETY * max(errors[name], usual * sizes[name]) for name in errors},
    )


def _rounded(batch: Batch, dtype: str, rng: np.random.Generator) -> Batch:
    """The batch with its inputs moved by one rounding, as a layer in half precision moves them."""
    inputs = {leaf.name for leaf in batch.leaves if leaf.role == "input"}
    arrays = {n: a for n, a in batch.arrays().items() if n in inputs and a.dtype.kind == "f"}
    return batch.with_arrays({n: _neighbour(a, dtype, rng) for n, a in arrays.items()})


def _neighbour(array: np.ndarray, dtype: str, rng: np.random.Generator) -> np.ndarray:
    """Each element moved by one rounding of `dtype`, up or down; zeros stay."""
    sides = rng.choice([-1.0, 1.0], array.shape)
    moved: np.ndarray = widened(array) * (1.0 + sides * spacing(dtype))
    return moved.astype(array.dtype)


def _close(one: np.ndarray, other: np.ndarray, tolerance: float, rounding: float = 0.0) -> bool:
    allowed = tolerance * _largest(one) + rounding + 1e-12
    return one.shape == other.shape and _distance(one, other) <= allowed


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    difference = widened(one) - widened(other)
    return float(np.max(np.abs(difference), initial=0.0))


def _largest(array: np.ndarray) -> float:
    return float(np.max(np.abs(widened(array)), initial=0.0))
