"""Optimizers of every library: what is read of them, and what the other rooms ask of one."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stayfinite.frameworks.state import Variable


@dataclass(frozen=True)
class Moments:
    """The paths of the two moments of a weight: averages of its gradients and of their squares.

    Each update multiplies them by `decays`, and adds the rest of the gradient and of its square.
    """

    first: str
    second: str
    decays: tuple[float, float]


class Optimizer(Protocol):
    """What changes weights by gradients. Its settings are attributes."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def variables(self) -> Sequence[Variable]:
        """Its slots and counters."""
        ...

    @property
    def learning_rate(self) -> object:
        """The present learning rate, a scalar tensor."""
        ...


class PlainOptimizer(ABC):
    """An optimizer of a framework itself, without Keras; an `Optimizer`."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name."""

    @property
    def kind(self) -> str:
        """Its class, for messages."""
        return type(self).__name__

    @property
    @abstractmethod
    def variables(self) -> Sequence[Variable]:
        """Its slots and counters."""

    @property
    @abstractmethod
    def learning_rate(self) -> object:
        """The present learning rate."""

    @property
    @abstractmethod
    def weights(self) -> Sequence[Variable]:
        """The weights that it trains."""

    @property
    def epsilon(self) -> tuple[str, float] | None:
        """The keyword and the number that keeps its divisor above 0; None if it has none."""
        return None

    def moments(self) -> list[Moments]:
        """The moments of its weights, where it keeps these two."""
        return []

    def schedulers(self) -> list[str]:
        """The classes of the objects that set its learning rate, where those are known."""
        return []

    def bad_settings(self) -> list[tuple[str, float]]:
        """The numbers among its settings that are not finite, by their names."""
        return []


def learning_rate_of(optimizer: Optimizer) -> object:
    """The learning rate as it was set: variable, schedule or function."""
    if isinstance(optimizer, PlainOptimizer):
        return optimizer.learning_rate
    rate: object = _of_keras("private").learning_rate_of(optimizer)
    return rate


def schedule_of(optimizer: Optimizer) -> Callable[[int], object] | None:
    """The schedule of a Keras optimizer, by the number of the update, if it is Keras's own.

    A schedule of the user's may do more than compute a number. None for other optimizers.
    """
    if isinstance(optimizer, PlainOptimizer):
        return None
    private = _of_keras("private")
    rate: Callable[[int], object] = private.learning_rate_of(inner_optimizer(optimizer))
    return rate if private.is_keras_schedule(rate) else None


def variables_of(optimizer: Optimizer) -> list[Variable]:
    """The weights that an optimizer trains."""
    if isinstance(optimizer, PlainOptimizer):
        return list(optimizer.weights)
    variables: list[Variable] = _of_keras("private").variables_of(optimizer)
    return variables


def inner_optimizer(optimizer: Optimizer) -> Optimizer:
    """The optimizer inside a `LossScaleOptimizer`; any other optimizer itself."""
    if isinstance(optimizer, PlainOptimizer):
        return optimizer
    inner: Optimizer = _of_keras("loss_scales").inner_optimizer(optimizer)
    return inner


def moments_of(optimizer: Optimizer) -> list[Moments]:
    """The moments of the weights that an optimizer trains, where it keeps these two."""
    if isinstance(optimizer, PlainOptimizer):
        return optimizer.moments()
    moments: list[Moments] = _of_keras("moments").moments_of(inner_optimizer(optimizer))
    return moments


def loss_scale_paths(optimizers: Sequence[Optimizer]) -> list[str]:
    """The paths of the variables that hold the scale of a `LossScaleOptimizer`."""
    if any(isinstance(optimizer, PlainOptimizer) for optimizer in optimizers) or not optimizers:
        return []
    paths: list[str] = _of_keras("loss_scales").loss_scale_paths(optimizers)
    return paths


def loss_scale(optimizers: Sequence[Optimizer]) -> float | None:
    """The scale of the first optimizer, if it is a `LossScaleOptimizer`."""
    scale: float | None = _of_keras("loss_scales").loss_scale(optimizers)
    return scale


def _of_keras(module: str) -> Any:
    # By its name, as a backend is: this module imports no framework.
    return importlib.import_module(f"stayfinite.frameworks.keras.{module}")
