"""Whether a step that is made again has the loss and the gradients of training, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stayfinite.frameworks.step import Outcome
from stayfinite.numerics.dtypes import widened


@dataclass(frozen=True)
class Fidelity:
    """How a step that was made again differs from that of the training.

    Attributes:
        seen_loss: The loss in training.
        loss: That of the step made again.
        num_gradients: Gradients in training.
        differing: Names of those that differ.
        num_processes: Over how many processes the gradients of training are a mean; with more than
            one, only the loss was compared.
        largest: The largest difference of finite elements, relative to the largest of the gradient.
    """

    seen_loss: float
    loss: float
    num_gradients: int
    differing: tuple[str, ...]
    largest: float
    num_processes: int = 1

    @property
    def is_equal(self) -> bool:
        """Whether every bit is the same; the bits of NaN are not compared."""
        return not self.differing and same(np.asarray(self.seen_loss), np.asarray(self.loss))


def fidelity(seen: Outcome, made: Outcome, num_processes: int = 1) -> Fidelity:
    """Compare the step that training made with the step made again.

    Args:
        seen: What training had.
        made: What the step gave when it was made again in this process.
        num_processes: Over how many processes the gradients of training are a mean.
    """
    if num_processes > 1:
        return Fidelity(seen.loss, made.loss, len(seen.gradients), (), 0.0, num_processes)
    names = [*seen.gradients, *(name for name in made.gradients if name not in seen.gradients)]
    differing = []
    largest = 0.0
    for name in names:
        before, after = seen.gradients.get(name), made.gradients.get(name)
        if before is None or after is None or before.shape != after.shape:
            differing.append(name)
        elif not same(before, after):
            differing.append(name)
            largest = max(largest, _difference(before, after))
    return Fidelity(seen.loss, made.loss, len(seen.gradients), tuple(differing), largest)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays have the same numbers."""
    return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"))


def _difference(before: np.ndarray, after: np.ndarray) -> float:
    both = np.isfinite(before) & np.isfinite(after)
    if not both.any():
        return 0.0
    with np.errstate(all="ignore"):
        distance = np.abs(widened(before[both]) - widened(after[both])).max()
        size = np.abs(widened(before[both])).max()
    return float(distance / size) if size > 0 else float(distance > 0)
