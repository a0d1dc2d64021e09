"""The whole state of a model as lists of tensors, in the order that all backends share."""

from __future__ import annotations

from typing import Any

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.tensorflow import private


def state_of(model: Any) -> list[list[Any]]:
    """The present values. Tensors never change, so they are copies."""
    return [
        [private.raw(v).read_value() for v in group]
        for group in keras_private.state_variables(model)
    ]


def num_bytes_of(model: Any) -> int:
    """How much memory the state takes."""
    variables = [v for group in keras_private.state_variables(model) for v in group]
    return sum(v.shape.num_elements() * v.dtype.size for v in map(private.raw, variables))


def store(model: Any, state: list[list[Any]]) -> None:
    """Make `state` the values of the model's variables."""
    for variables, values in zip(keras_private.state_variables(model), state, strict=True):
        for variable, value in zip(variables, values, strict=True):
            private.raw(variable).assign(value)
