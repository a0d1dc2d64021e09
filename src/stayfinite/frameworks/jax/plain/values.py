"""Data, state and result of a step, as trees whose structure JAX keeps beside the arrays."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks.jax import private
from stayfinite.frameworks.jax.plain.arguments import ArgumentsForm
from stayfinite.frameworks.jax.plain.trees import TreeForm


@dataclass(frozen=True)
class StepData:
    """The arrays of a call that are not of the state, and the form of the whole call."""

    arrays: tuple[Any, ...]
    form: ArgumentsForm

    @functools.cached_property
    def nbytes(self) -> int:
        """The bytes of its arrays."""
        return sum(array.nbytes for array in self.arrays)


@dataclass
class StateArray:
    """One array of the state by its path; a `Variable`."""

    path: str
    value: Any = None

    def assign(self, value: Any) -> None:
        """Set its value."""
        self.value = value


@dataclass(frozen=True)
class ResultForm:
    """The form of the result of a step.

    Attributes:
        tree: That of the whole result.
        state: The number of each array that is new state, and the name of the state.
        names: The name of each array that is not.
    """

    tree: TreeForm
    state: tuple[tuple[int, str], ...]
    names: tuple[str, ...]

    def order(self, state_names: Sequence[str]) -> list[int]:
        """Where each array of the result is among those of the state, and the others after them."""
        places = {name: place for place, name in enumerate(state_names)}
        names = dict(self.state)
        others = itertools.count(len(state_names))
        return [
            places[names[number]] if number in names else next(others)
            for number in range(len(self.tree.arrays()))
        ]


@dataclass(frozen=True)
class StepResult:
    """The arrays of a result that are not of the state."""

    arrays: tuple[Any, ...]
    form: ResultForm

    def loss(self) -> Any:
        """What looks like the loss: the scalar with this name, else the first one; or None."""
        arrays = [array for array in self.arrays if _is_scalar(array)]
        named = dict(zip(self.form.names, self.arrays, strict=True))
        found = [named[name] for name in named if name.rpartition("/")[2] == "loss"]
        return next((array for array in [*found, *arrays] if _is_scalar(array)), None)

    def packed(self, state: list[Any], order: Sequence[int]) -> Any:
        """The result with this state, in the order that its form gives."""
        values = [*state, *self.arrays]
        return self.form.tree.packed([values[place] for place in order])


def _is_scalar(array: Any) -> bool:
    return array.shape == () and bool(jnp.issubdtype(array.dtype, jnp.floating))


jax.tree_util.register_pytree_node(
    StepData, lambda data: (data.arrays, data.form), lambda form, arrays: StepData(arrays, form)
)
jax.tree_util.register_pytree_node(
    StepResult,
    lambda result: (result.arrays, result.form),
    lambda form, arrays: StepResult(arrays, form),
)


def holds_infinity(array: Any) -> bool:
    """Whether a weight holds an infinity and no NaN, as one that switches a part off."""
    dtype = jnp.result_type(array)
    if not jnp.issubdtype(dtype, jnp.floating) or dtype.itemsize < 2 or not np.size(array):
        return False
    if private.is_tracing(array) or not getattr(array, "is_fully_addressable", True):
        return False
    # NumPy reads the memory of a CPU as it is, and needs no compilation for each shape.
    values = np.asarray(array) if jax.default_backend() == "cpu" else jnp.asarray(array)
    return bool(values.max() == np.inf or values.min() == -np.inf)
