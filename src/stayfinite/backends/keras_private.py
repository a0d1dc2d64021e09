"""What every backend uses from Keras that is not public API, in one place.

`tests/backends/test_keras_private.py` exercises each name, so a release that moves one of them is
named by the test that fails, not by a user's traceback.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras.src.optimizers.base_optimizer import BaseOptimizer
from keras.src.optimizers.loss_scale_optimizer import LossScaleOptimizer

__all__ = [
    "BaseOptimizer",
    "LossScaleOptimizer",
    "flatten_layers",
    "has_own_step",
    "optimizers_of",
    "scaled_learning_rate",
    "state_variables",
]


def flatten_layers(model: Any) -> list[Any]:
    """Every layer inside a model, nested ones too; Keras has no public name for that."""
    return list(model._flatten_layers())


def has_own_step(model: Any) -> bool:
    """Whether the train step of a model is Keras's own, so that only metrics follow the update."""
    step = getattr(getattr(model, "train_step", None), "__func__", None)
    return step is keras.Model.train_step


def optimizers_of(model: Any) -> list[Any]:
    """Every optimizer that a model holds: its compiled one, then those of its own attributes.

    A generative adversarial network has two. The optimizer inside a `LossScaleOptimizer` is not
    listed: its variables are among those of the outer one.
    """
    found: list[Any] = []
    for candidate in (model.optimizer, *vars(model).values()):
        if isinstance(candidate, BaseOptimizer) and not any(o is candidate for o in found):
            found.append(candidate)
    inner = [o.inner_optimizer for o in found if isinstance(o, LossScaleOptimizer)]
    return [o for o in found if not any(o is i for i in inner)]


def state_variables(model: Any) -> list[list[Any]]:
    """The variables of a state: trainable, non-trainable, of all optimizers, of metrics."""
    return [
        list(model.trainable_variables),
        list(model.non_trainable_variables),
        [variable for optimizer in optimizers_of(model) for variable in optimizer.variables],
        list(model.metrics_variables),
    ]


@contextlib.contextmanager
def scaled_learning_rate(optimizer: Any, factor: float) -> Iterator[None]:
    """The learning rate of `optimizer` times `factor` inside the block, schedules included."""
    target = optimizer.inner_optimizer if isinstance(optimizer, LossScaleOptimizer) else optimizer
    plain = target._get_current_learning_rate
    target._get_current_learning_rate = lambda: plain() * factor
    try:
        yield
    finally:
        del target._get_current_learning_rate
