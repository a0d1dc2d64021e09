"""One training step as a value: run it, read its arrays, run it with one thing changed.

A step holds its whole state and its batch, so two runs of it give the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stayfinite.frameworks.batch import Batch, ChangeError
from stayfinite.frameworks.change import Change
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.frameworks.state import State
from stayfinite.frameworks.subject import Subject
from stayfinite.graph.graph import Graph, Leaf, Op


@dataclass(frozen=True)
class Outcome:
    """The result of a run of the step. `bad_state` names non-finite new weights and other state.

    `loss` is the first one that is not finite of `num_losses` losses, or the last one; 0 where the
    step shows none, as one that asks for gradients alone.
    """

    loss: float
    gradients: dict[str, np.ndarray]
    bad_state: tuple[str, ...]
    num_losses: int = 1

    @property
    def bad_gradients(self) -> list[str]:
        """Names of the weights whose gradient has a non-finite element, in the model's order."""
        return [n for n, g in self.gradients.items() if not np.all(np.isfinite(_widened(g)))]

    @property
    def finite(self) -> bool:
        """Whether training could go on: loss and new state are finite."""
        return math.isfinite(self.loss) and not self.bad_state


class CannotRemakeError(ChangeError):
    """A step cannot be run again."""

    def __init__(self, why: WhyNot) -> None:
        super().__init__(why)
        self.why: WhyNot = why


@dataclass(frozen=True)
class Roots:
    """The bad leaves that reached a sink, and the ops that fail on finite operands."""

    leaves: list[Leaf]
    ops: list[Op]


def at_fault(leaves: list[Leaf], ops: list[Op], may_keep: Collection[int]) -> list[Leaf]:
    """The leaves without those that may be infinite on purpose, where something else is at fault.

    Args:
        leaves: The bad leaves that reached a sink.
        ops: The ops that fail on finite operands.
        may_keep: The values of leaves that are infinite and may be.
    """
    others = [leaf for leaf in leaves if leaf.value not in may_keep]
    return others if others or ops else leaves


class Step(Protocol):
    """The step of one framework, immutable: `changed` returns another one."""

    @property
    def subject(self) -> Subject:
        """The training that the step belongs to: its optimizers and layers."""
        ...

    @property
    def batch(self) -> Batch:
        """The batch of the step."""
        ...

    @property
    def state(self) -> State:
        """The state before the step."""
        ...

    @property
    def trace(self) -> Graph:
        """The step op by op."""
        ...

    def roots(self) -> Roots:
        """The non-finite leaves, and the ops that made a non-finite result of finite operands."""
        ...

    def fetch(self, values: Iterable[int]) -> dict[int, np.ndarray]:
        """The arrays of a few values of `trace`, by running the step once more."""
        ...

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The whole state before the step, by name."""
        ...

    def run(self, change: Change) -> Outcome:
        """Run the step with one thing changed."""
        ...

    def after(self) -> State:
        """The whole state after the step."""
        ...

    def changed(self, change: Change) -> Step:
        """The step with one thing changed."""
        ...


def _widened(array: np.ndarray) -> np.ndarray:
    # bfloat16 has no NumPy ufuncs of its own in every release.
    return array if array.dtype.kind in "fc" and array.dtype.itemsize > 1 else array.astype("f4")
