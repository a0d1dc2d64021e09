"""One training step as a value: run it, ask it, run it with one thing changed.

A step holds its whole state and its batch, so two runs of it give the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stayfinite.frameworks.change import Change
from stayfinite.graph.graph import Graph, Leaf, Op


@dataclass(frozen=True)
class Outcome:
    """What a run of the step gave. `bad_state` names non-finite new weights and other state."""

    loss: float
    gradients: dict[str, np.ndarray]
    bad_state: tuple[str, ...]

    @property
    def bad_gradients(self) -> list[str]:
        """Names of the weights whose gradient has a non-finite element, in the model's order."""
        return [n for n, g in self.gradients.items() if not np.all(np.isfinite(_widened(g)))]

    @property
    def finite(self) -> bool:
        """Whether training could go on: loss and new state are finite."""
        return math.isfinite(self.loss) and not self.bad_state


@dataclass(frozen=True)
class Roots:
    """Where the failure began: bad leaves that reached a sink, and ops on finite operands."""

    leaves: list[Leaf]
    ops: list[Op]


class Step(Protocol):
    """A backend's step."""

    @property
    def data(self) -> Any:
        """The batch of the step, in the backend's own form."""
        ...

    @property
    def state(self) -> Any:
        """The state before the step, in the backend's own form: groups of arrays."""
        ...

    @property
    def trace(self) -> Graph:
        """The step op by op."""
        ...

    def roots(self) -> Roots:
        """What came in non-finite, and what made a non-finite value out of finite ones."""
        ...

    def shapes(self, data: Any) -> list[tuple[int, ...]]:
        """The shape of each array of a batch."""
        ...

    def with_arrays(self, data: Any, arrays: Mapping[str, np.ndarray]) -> Any:
        """A batch with some of its arrays replaced, by the name of their leaf."""
        ...

    def scaled(self, data: Any, divisors: Mapping[str, float]) -> Any:
        """A batch with some of its floating-point arrays divided, by the name of their leaf."""
        ...

    def magnitudes(self, data: Any) -> dict[str, float]:
        """The largest finite magnitude in each array of a batch, by the name of its leaf."""
        ...

    def fetch(self, values: Iterable[int]) -> dict[int, np.ndarray]:
        """The arrays of a few values, by running the step once more."""
        ...

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The whole state before the step, by name."""
        ...

    def batch_arrays(self) -> dict[str, np.ndarray]:
        """The batch of the step, by name."""
        ...

    def run(self, change: Change) -> Outcome:
        """Run the step with one thing changed."""
        ...

    def after(self) -> Any:
        """The whole state after the step, in the backend's own form: see `change.State`."""
        ...

    def optimizers(self) -> list[Any]:
        """The Keras optimizers of the step, whose settings can be read."""
        ...

    def layer(self, path: str) -> Any:
        """The Keras layer with this path, as `Op.layer` and the names of the state have it."""
        ...

    def changed(self, change: Change) -> Step:
        """The step with one thing changed, as a step that can be asked in turn."""
        ...


def _widened(array: np.ndarray) -> np.ndarray:
    # bfloat16 has no NumPy ufuncs of its own in every release.
    return array if array.dtype.kind in "fc" and array.dtype.itemsize > 1 else array.astype("f4")
