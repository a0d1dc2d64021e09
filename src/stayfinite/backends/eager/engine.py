"""What a framework provides to run a train step eagerly: state in, results out, each op told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stayfinite.backends.eager.recording import Recording
from stayfinite.trace.trace import Role

State = list[list[Any]]


@dataclass(frozen=True)
class Update:
    """One call of an optimizer: the gradients it was given, and for which variables."""

    optimizer: Any
    gradients: list[Any]
    variables: list[Any]


@dataclass(frozen=True)
class Result:
    """What one eager run of a train step gave, as the framework's own tensors.

    `loss` is the root of the backward pass (unscaled under loss scaling), or None where nothing was
    differentiated. `new_state` has the values after the step, by the name of the variable.
    `observed` are the loss and the logs: what they are computed from is the forward pass.
    """

    loss: Any
    updates: list[Update]
    new_state: dict[str, Any]
    observed: list[Any]


@dataclass(frozen=True)
class Named:
    """A variable's value before the step, under its role and its path."""

    role: Role
    name: str
    value: Any


class Engine(Protocol):
    """Runs the train step of one model. Every run leaves the model's variables as they were."""

    def named_state(self, state: State) -> list[Named]:
        """The values of `state` with role and unique path, in the order of the state."""
        ...

    def tensors(self, data: Any) -> Any:
        """A batch as the framework's tensors, in the same structure."""
        ...

    def run(self, state: State, data: Any, recording: Recording | None = None) -> Result:
        """Run the train step on copies of `state` with fresh metrics.

        With a `recording`, every primitive op of forward, backward and update is told to it, and
        Keras's own calls are wrapped by `keras_calls.entered`. May raise `Recording.Enough`.
        """
        ...

    def update(self, state: State, updates: list[Update], factor: float = 1.0) -> dict[str, Any]:
        """New weights and optimizer variables from given gradients; learning rates times factor."""
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
