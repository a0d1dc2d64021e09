"""The data and the result of one step, as trees whose structure JAX keeps beside the arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax

from stayfinite.frameworks.jax.plain.arguments import ArgumentsForm
from stayfinite.frameworks.jax.plain.trees import TreeForm


@dataclass(frozen=True)
class StepData:
    """The arrays of a call that are not of the state, and the form of the whole call."""

    arrays: tuple[Any, ...]
    form: ArgumentsForm

    @property
    def nbytes(self) -> int:
        """The bytes of its arrays."""
        return sum(array.nbytes for array in self.arrays)


@dataclass(frozen=True)
class ResultForm:
    """The form of the result of a step.

    Attributes:
        tree: That of the whole result.
        state: The number of each array that is new state, and the name of the state.
    """

    tree: TreeForm
    state: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class StepResult:
    """The arrays of a result that are not of the state."""

    arrays: tuple[Any, ...]
    form: ResultForm

    def packed(self, state: dict[str, Any]) -> Any:
        """The result with this state."""
        of_state = dict(self.form.state)
        others = iter(self.arrays)
        return self.form.tree.packed(
            state[of_state[n]] if n in of_state else next(others)
            for n in range(len(self.form.tree.arrays()))
        )


jax.tree_util.register_pytree_node(
    StepData, lambda data: (data.arrays, data.form), lambda form, arrays: StepData(arrays, form)
)
jax.tree_util.register_pytree_node(
    StepResult,
    lambda result: (result.arrays, result.form),
    lambda form, arrays: StepResult(arrays, form),
)
