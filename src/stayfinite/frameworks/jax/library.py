"""The library that a step of JAX is written with: Keras, or plain functions.

A trace needs the loss, the gradients and the objects that are called, which each library provides
in another way.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.state import State, Tensor
from stayfinite.frameworks.subject import Subject

# Called with gradients, and with what has the name of each as its `path`.
SeenGradients = Callable[[list[Any], list[Any]], None]
# Makes the scope of a call of an object.
Scope = Callable[[Any], AbstractContextManager[Any]]


class SeenLoss:
    """What a train step made its gradients from."""

    def __init__(self) -> None:
        self._losses: list[Any] = []

    def add(self, loss: Any) -> None:
        """Note a loss."""
        self._losses.append(loss)

    @property
    def all(self) -> list[Any]:
        """Every loss that was seen."""
        return list(self._losses)

    def of(self, logs: Any) -> Any:
        """The last loss that was seen; for a step that showed none, the one in its logs."""
        if self._losses:
            return self._losses[-1]
        return logs.get("loss") if isinstance(logs, dict) else None


class StepLibrary(Protocol):
    """One library.

    Attributes:
        judges_loss: Whether a step with a non-finite loss is bad if gradients and state are finite.
    """

    judges_loss: bool

    def watched(
        self, seen: SeenGradients, *, scaled_too: bool = False
    ) -> AbstractContextManager[SeenLoss]:
        """Have each train step that is traced inside the block show its loss and gradients.

        Gradients under a loss scale are shown only with `scaled_too`: non-finite ones are the way
        in which it is found, and the step is then skipped by itself.
        """
        ...

    def traced(self, subject: Subject, batch: Batch, scope: Scope) -> AbstractContextManager[None]:
        """Inside the block, a train step on `batch` can be traced to be explained.

        Each call of an object of the library runs inside `scope(object)`.
        """
        ...

    def loss_scales(self, subject: Subject) -> list[int]:
        """Where in the optimizer variables of a state the loss scales are."""
        ...

    def learning_rates(self, names: Sequence[str]) -> list[str]:
        """Those of the arrays of optimizers that are learning rates, which no schedule computes."""
        ...

    def has_spent_scale(self, subject: Subject, state: State) -> bool:
        """Whether a loss scale is so small that a step which it skips is bad."""
        ...

    def has_collapsed(self, before: Any, after: Any) -> Any:
        """Whether a step has made such a loss scale smaller, as a boolean array."""
        ...

    def collapsed_scales(
        self, subject: Subject, before: Sequence[Tensor], after: Callable[[int], Tensor]
    ) -> list[str]:
        """The names of the loss scales that have collapsed.

        Args:
            subject: The training.
            before: The optimizer variables of a state.
            after: What the variable with this number became.
        """
        ...


class HasLibrary(abc.ABC):
    """A subject whose steps are written with another library than Keras."""

    step_library: StepLibrary


def library_of(subject: Subject) -> StepLibrary:
    """The library of the steps of `subject`."""
    if isinstance(subject, HasLibrary):
        return subject.step_library
    # Imported here, because other steps do not need Keras.
    from stayfinite.frameworks.jax.keras_library import KERAS

    return KERAS
