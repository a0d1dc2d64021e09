"""The state of a training made of saved arrays, by the names of its variables."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from stayfinite.frameworks.keras.private import LossScaleOptimizer
from stayfinite.frameworks.saved_names import names_of
from stayfinite.frameworks.state import State, Variable, random_of_arrays


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


def shapes_of(groups: Sequence[Sequence[Variable]]) -> dict[str, tuple[int, ...]]:
    """The shape of each variable, by name."""
    names = [name for group in names_of(groups) for name in group]
    flat: list[Any] = [variable for group in groups for variable in group]
    return {name: tuple(each.shape) for name, each in zip(names, flat, strict=True)}
