"""What the calls of a step of JAX hold: its state, its batch, and their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stayfinite.frameworks.jax.plain.names_read import NamesRead
from stayfinite.frameworks.jax.plain.pure_step import PureStep
from stayfinite.frameworks.jax.plain.trees import KeyPath
from stayfinite.frameworks.jax.plain.values import StepData
from stayfinite.frameworks.names import argument_names
from stayfinite.frameworks.state import State


class StepCalls:
    """Reads calls of `step`, which it does not make."""

    def __init__(self, step: PureStep) -> None:
        self._step = step

    @property
    def function(self) -> Callable[..., Any]:
        """The step, not compiled."""
        return self._step.function

    @property
    def places(self) -> Mapping[str, KeyPath]:
        """Where in the result each argument comes back that is state; empty for objects of nnx."""
        return self._step.places

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the arrays of its state, in their order."""
        return (*self._step.weights, *self._step.others)

    def labels_of(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name."""
        return {
            **dict(zip(argument_names(self.function, len(args)), args, strict=True)),
            **keywords,
        }

    def state_of(self, arrays: Mapping[str, Any]) -> State:
        """A state of these arrays by name."""
        groups = (
            [arrays[name] for name in names] for names in (self._step.weights, self._step.others)
        )
        return State.of([*groups, [], []])

    def data_of(self, keywords: Mapping[str, Any]) -> tuple[State, StepData]:
        """State and batch of a call by keywords, which is not made.

        Raises:
            UsageError: the state is not known.
            CannotGuardError: the step cannot be compiled.
        """
        call = self._step.arguments((), keywords)
        (weights, others), data = self._step.calls.state_and_data(call)
        return State.of([weights, others, [], []]), data

    def names_read(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> NamesRead:
        """What the step read when it was traced for such a call."""
        data = self._step.calls.state_and_data(self._step.arguments(args, keywords))[1]
        return self._step.names_read(data)

    def groups_of(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """The state in the arguments of a call, in four groups."""
        (weights, others), _ = self._step.calls.state_and_data(self._step.arguments(args, keywords))
        return weights, others, [], []

    def note_gradients(self, labels: Iterable[str]) -> None:
        """Say before the first call which arguments come from calls that compute gradients."""
        self._step.from_gradients = frozenset(labels)

    def require_state(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        """Find the state in the arguments of a call, which is not made.

        Raises:
            UsageError: the state is not known, or the step cannot be compiled.
        """
        self._step.arguments(args, keywords)
