"""The whole state of a model as lists of tensors, in the order that all backends share."""

from __future__ import annotations

from typing import Any

from stayfinite.backends import keras_private
from stayfinite.backends.tensorflow import private


def groups_of(model: Any) -> list[list[Any]]:
    """The variables of a state: trainable, non-trainable, optimizers', metrics'."""
    optimizers = keras_private.optimizers_of(model)
    return [
        list(model.trainable_variables),
        list(model.non_trainable_variables),
        [variable for optimizer in optimizers for variable in optimizer.variables],
        list(model.metrics_variables),
    ]


def state_of(model: Any) -> list[list[Any]]:
    """The present values. Tensors never change, so they are copies."""
    return [[private.raw(v).read_value() for v in group] for group in groups_of(model)]


def store(model: Any, state: list[list[Any]]) -> None:
    """Make `state` the values of the model's variables."""
    for variables, values in zip(groups_of(model), state, strict=True):
        for variable, value in zip(variables, values, strict=True):
            private.raw(variable).assign(value)
