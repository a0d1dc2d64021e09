"""Where the arrays of a call belong, for each form of a call: to the state or to the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax

from stayfinite.errors import UsageError
from stayfinite.frameworks.jax.plain.arguments import Arguments, ArgumentsForm
from stayfinite.frameworks.jax.plain.trees import BARE
from stayfinite.frameworks.jax.plain.values import StepData


@dataclass(frozen=True)
class _Plan:
    """The numbers of the arrays of a call: of the weights, of the other state, of the batch."""

    weights: tuple[int, ...]
    others: tuple[int, ...]
    batch: tuple[int, ...]
    batch_names: tuple[str, ...]
    arguments: tuple[tuple[int, Any], ...] | None


class CallPlans:
    """Takes calls apart into state and batch, and puts them together again.

    Args:
        weights: Names of the weights.
        others: Names of the other arrays of the state.
    """

    def __init__(self, weights: Sequence[str], others: Sequence[str]) -> None:
        self._weights = weights
        self._others = others
        self._plans: dict[ArgumentsForm, _Plan] = {}

    def state_and_data(self, call: Arguments) -> tuple[tuple[list[Any], ...], StepData]:
        """The two groups of the state in a call, and its batch.

        Raises:
            UsageError: the state has another structure than before.
        """
        plan = self._plans.get(call.form)
        if plan is None:
            plan = self._plans[call.form] = self._made(call)
        groups = tuple([call.arrays[n] for n in group] for group in (plan.weights, plan.others))
        return groups, StepData(tuple(call.arrays[n] for n in plan.batch), call.form)

    def in_order(self, weights: Sequence[Any], others: Sequence[Any], data: StepData) -> list[Any]:
        """The arrays of the call with this state and this batch."""
        plan = self._plans[data.form]
        numbers = (*plan.weights, *plan.others, *plan.batch)
        arrays: list[Any] = [None] * len(numbers)
        for number, array in zip(numbers, (*weights, *others, *data.arrays), strict=True):
            arrays[number] = array
        return arrays

    def batch_arguments(self, form: ArgumentsForm) -> tuple[tuple[int, Any], ...] | None:
        """The positions of the arguments that are the batch, with the structure of each.

        None where an argument has arrays of the state as well. The structure of one array is None.
        """
        return self._plans[form].arguments

    def batch_names(self, form: ArgumentsForm) -> tuple[str, ...]:
        """The name of each array of a batch."""
        return self._plans[form].batch_names

    def _made(self, call: Arguments) -> _Plan:
        named = call.names()
        names = [name for name, _ in named]
        numbers = {name: number for number, name in enumerate(names)}
        missing = [name for name in (*self._weights, *self._others) if name not in numbers]
        if missing:
            raise UsageError(
                f"the state of a guarded step has to keep its structure, and {missing[0]!r} is "
                "not in this call; put guarded() around the step again for another state"
            )
        weights = tuple(numbers[name] for name in self._weights)
        others = tuple(numbers[name] for name in self._others)
        held = {*weights, *others}
        batch = tuple(number for number in range(len(names)) if number not in held)
        labels = {named[number][1] for number in batch}
        arguments = None
        if labels.isdisjoint(named[number][1] for number in held):
            arguments = tuple(
                (position, None if structure == BARE else structure)
                for position, label in enumerate(call.form.labels)
                if label in labels
                for structure in [jax.tree.structure(call.values[position])]
            )
        return _Plan(weights, others, batch, tuple(names[number] for number in batch), arguments)
