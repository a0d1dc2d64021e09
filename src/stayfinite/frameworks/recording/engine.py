"""What a framework provides to run a train step eagerly: state in, results out, each op told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.recording.recording import Recording
from stayfinite.graph.graph import Role

# Trainable, non-trainable, optimizer and metric variables, each in the model's order.
State = list[list[Any]]


@dataclass(frozen=True)
class Update:
    """One call of an optimizer: the gradients it was given, and for which variables."""

    optimizer: Any
    gradients: list[Any]
    variables: list[Any]


@dataclass(frozen=True)
class Marks:
    """Numbers, in a recording, of what the step is judged by.

    `gradients` by the path of the variable, as the optimizer was given them; `new_state` by the
    path of each floating-point variable that the step assigned; `observed` the loss and the logs:
    what they are computed from is the forward pass.
    """

    loss: int | None = None
    gradients: dict[str, int] = field(default_factory=dict)
    new_state: dict[str, int] = field(default_factory=dict)
    observed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Result:
    """What one eager run of a train step gave, as the framework's own tensors.

    `loss` is the root of the backward pass (unscaled under loss scaling), or None where nothing was
    differentiated. `bad_state` names the floating-point variables (metrics left out) that are not
    finite after the step. `marks` is there when the run was recorded, `after`, the whole state
    after the step, where it was asked for.
    """

    loss: Any
    updates: list[Update]
    bad_state: tuple[str, ...]
    marks: Marks | None = None
    after: State | None = None


@dataclass(frozen=True)
class Named:
    """A variable's value before the step, under its role and its unique path."""

    role: Role
    name: str
    value: Any


def named_values(model: Any, state: State) -> list[Named]:
    """The values of `state` under the paths of the variables of `model`, made unique."""
    groups, roles = keras_private.state_variables(model), keras_private.roles(model)
    found: list[Named] = []
    seen: dict[str, int] = {}
    for own, variables, values in zip(roles, groups, state, strict=True):
        for role, variable, value in zip(own, variables, values, strict=True):
            seen[variable.path] = seen.get(variable.path, 0) + 1
            times = seen[variable.path]
            name = variable.path if times == 1 else f"{variable.path}:{times}"
            found.append(Named(role, name, value))
    return found


class Engine(Protocol):
    """Runs the train step of one model. Every run leaves the model's variables as they were."""

    model: Any

    def named_state(self, state: State) -> list[Named]:
        """The values of `state` with role and unique path, in the order of the state."""
        ...

    def tensors(self, data: Any) -> Any:
        """A batch as the framework's tensors, in the same structure; None stays None."""
        ...

    def run(
        self,
        state: State,
        data: Any,
        recording: Recording | None = None,
        *,
        keep_after: bool = False,
    ) -> Result:
        """Run the train step on copies of `state`, with fresh metrics.

        With a `recording`, every primitive op of forward, backward and update is told to it, after
        the leaves: those of `named_state`, then those of `batches.named_leaves(model, data)`. The
        calls of Keras objects stand in `recording.chain` (`keras_calls.entered`). What the visitor
        of the recording raises (`Enough`) ends the run and passes through.
        """
        ...

    def stored(self, state: State, values: list[list[Any]]) -> State:
        """`values`, of which some may be host arrays, as a state like `state`."""
        ...

    def update(self, state: State, updates: list[Update], factor: float) -> tuple[str, ...]:
        """Apply given gradients on `state`, learning rates times `factor`; names as `bad_state`."""
        ...

    def run_wide(self, state: State, data: Any) -> Result:
        """The same step with every floating-point value in float64."""
        ...

    def is_finite(self, tensor: Any) -> bool:
        """Whether every element is finite; integers always are."""
        ...

    def numpy(self, tensor: Any) -> np.ndarray:
        """The tensor on the host; bfloat16 as `ml_dtypes.bfloat16` or float32."""
        ...
