"""The state of a training made of saved arrays, by the names of its variables."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from stayfinite.frameworks.keras.private import LossScaleOptimizer
from stayfinite.frameworks.names import unique
from stayfinite.frameworks.state import RANDOM, State, Variable, random_of_arrays


def names_of(groups: Sequence[Sequence[Variable]]) -> list[list[str]]:
    """The name of each variable of a state, in its groups, as a `Step` names it."""
    flat = iter(unique([variable.path for group in groups for variable in group]))
    return [[next(flat) for _ in group] for group in groups]


@contextlib.contextmanager
def named_as(names: Collection[str]) -> Iterator[None]:
    """Optimizers under a loss scale that are built in the block name their variables as `names`.

    The first step of TensorFlow builds it inside the name scope of the loss scale. A model that is
    loaded, and every model of the other frameworks, builds it outside.
    """
    plain = LossScaleOptimizer.build

    def build(optimizer: Any, variables: Sequence[Variable]) -> None:
        inside = f"{optimizer.name}/{optimizer.inner_optimizer.name}/"
        with contextlib.ExitStack() as stack:
            if any(name.startswith(inside) for name in names):
                stack.enter_context(keras.name_scope(optimizer.name, caller=optimizer))
            plain(optimizer, variables)

    LossScaleOptimizer.build = build
    try:
        yield
    finally:
        LossScaleOptimizer.build = plain


def differing_shape(
    groups: Sequence[Sequence[Variable]], arrays: Mapping[str, np.ndarray]
) -> str | None:
    """The first variable with another shape than the saved array of its name, in words."""
    for variables, names in zip(groups, names_of(groups), strict=True):
        for variable, name in zip(variables, names, strict=True):
            shape = _shape(variable)
            if name in arrays and arrays[name].shape != shape:
                return f"{name} has the shape {shape}, and {arrays[name].shape} in the incident"
    return None


def unknown_names(
    groups: Sequence[Sequence[Variable]],
    arrays: Mapping[str, np.ndarray],
    ignored: Container[str],
) -> list[str]:
    """Names of weights, statistics and optimizer variables that only one of both sides has."""
    names = {name for group in names_of(groups)[:3] for name in group}
    saved = {name for name in arrays if name not in ignored and name not in RANDOM}
    return sorted(names ^ saved)


def state_of_arrays(
    groups: Sequence[Sequence[Variable]], arrays: Mapping[str, np.ndarray]
) -> State:
    """A state with the saved values. Metrics, which each replay resets, have those of now."""

    def value(name: str, variable: Any, saved: bool) -> Any:
        held = arrays[name] if saved else keras.ops.convert_to_numpy(variable.value)
        # As the dtype of the variable: NumPy has no bfloat16.
        return keras.ops.convert_to_tensor(held, dtype=variable.dtype)

    values = [
        [value(name, variable, number < 3) for name, variable in zip(names, group, strict=True)]
        for number, (names, group) in enumerate(zip(names_of(groups), groups, strict=True))
    ]
    return State.of(values, random_of_arrays(arrays))


def _shape(variable: Any) -> tuple[int, ...]:
    return tuple(variable.shape)
