"""Values with which a variable could have been created."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks.state import Tensor
from stayfinite.frameworks.step import Step
from stayfinite.numerics.dtypes import widened


def statistics(
    step: Step, arrays: Mapping[str, np.ndarray]
) -> Iterator[tuple[dict[str, np.ndarray], float | None]]:
    """Moving statistics as created; where that is not known, as zeros, then as ones.

    Yields:
        The statistics by name, and the number that those not known are filled with, if there are.
    """
    own = {name: by_initializer(step, name, array) for name, array in arrays.items()}
    known = {name: array for name, array in own.items() if array is not None}
    for fill in (0.0, 1.0):
        filled = {name: np.full_like(array, fill) for name, array in arrays.items()}
        is_known = len(known) == len(arrays)
        yield {**filled, **known}, None if is_known else fill
        if is_known:
            return


def weight(step: Step, name: str, array: np.ndarray) -> np.ndarray:
    """`array` with other values in the place of its non-finite ones.

    Those of the initializer of its layer, if these are finite, else small normal ones for a kernel
    and zeros for a bias.
    """
    fresh = by_initializer(step, name, array)
    if fresh is None or not np.isfinite(widened(fresh)).all():
        fresh = _glorot(array.shape) if array.ndim > 1 else np.zeros(array.shape)
    finite = np.isfinite(widened(array))
    filled: np.ndarray = np.where(finite, array, fresh.astype(array.dtype))
    return filled


def initializer_of(step: Step, name: str) -> Callable[..., Tensor] | None:
    """The initializer that the layer of a variable has for it; None where it has none."""
    path, _, own = name.rpartition("/")
    layer = step.subject.layer(path)
    found: object = getattr(layer, f"{own}_initializer", None)
    return found if callable(found) else None


def by_initializer(step: Step, name: str, array: np.ndarray) -> np.ndarray | None:
    """What that initializer gives when called again; None where there is none, or it fails."""
    initializer = initializer_of(step, name)
    if initializer is None:
        return None
    made = attempt(lambda: initializer(array.shape, dtype="float32"))
    if isinstance(made, NotTried):
        return None
    made = made.detach().cpu() if hasattr(made, "detach") else made
    return np.asarray(made).astype(array.dtype)


def _glorot(shape: tuple[int, ...]) -> np.ndarray:
    deviation = math.sqrt(2.0 / max(1, fan(shape)))
    return np.random.default_rng(0).normal(0.0, deviation, shape)


def fan(shape: tuple[int, ...]) -> int:
    """Inputs and outputs of one unit, for a kernel whose last two axes are these."""
    receptive = math.prod(shape[:-2])
    return receptive * (shape[-2] + shape[-1]) if len(shape) > 1 else 1
