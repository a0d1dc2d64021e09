"""What a framework provides to run a train step eagerly and record its ops."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.names import path_of, unique
from stayfinite.frameworks.recording.recording import Recording
from stayfinite.frameworks.state import State, Tensor
from stayfinite.frameworks.subject import Subject, state_variables
from stayfinite.graph.graph import Role


@dataclass(frozen=True)
class Update:
    """One call of an optimizer: the gradients it was given, and for which variables.

    `gradients` are tensors of the framework, of the shapes of `variables`.
    """

    optimizer: Any
    gradients: list[Any]
    variables: list[Any]


@dataclass(frozen=True)
class OutputNumbers:
    """The numbers, in a recording, of the outputs of the step.

    `gradients` by the path of the variable, as the optimizer was given them; `new_state` by the
    path of each floating-point variable that the step assigned; `observed` the loss and the logs:
    what they are computed from is the forward pass.
    """

    loss: int | None = None
    gradients: dict[str, int] = field(default_factory=dict)
    new_state: dict[str, int] = field(default_factory=dict)
    observed: tuple[int, ...] = ()


@dataclass(frozen=True)
class EagerResult:
    """What one eager run of a train step gave, as the framework's own tensors.

    `loss` is the root of the backward pass (unscaled under loss scaling), or None where nothing was
    differentiated. `bad_state` names the floating-point variables (metrics left out) that are not
    finite after the step. `outputs` is there when the run was recorded, `after`, the whole state
    after the step, where it was asked for. `num_losses` counts the losses of a step that adds
    gradients up.
    """

    loss: Any
    updates: list[Update]
    bad_state: tuple[str, ...]
    outputs: OutputNumbers | None = None
    after: State | None = None
    num_losses: int = 1


@dataclass(frozen=True)
class NamedValue:
    """A variable's value before the step, under its role and its unique path.

    `may_keep_infinity` is true for the variables of `Subject.may_keep_infinity`.
    """

    role: Role
    name: str
    value: Any
    may_keep_infinity: bool = False


def named_values(subject: Subject, state: State) -> list[NamedValue]:
    """The values of `state` under the paths of the variables of `subject`, made unique."""
    variables = [v for group in state_variables(subject) for v in group]
    roles = [role for group in subject.roles() for role in group]
    names = unique([path_of(variable) for variable in variables])
    may_keep = set(subject.may_keep_infinity())
    return [
        NamedValue(role, name, value, number in may_keep)
        for number, (role, name, value) in enumerate(zip(roles, names, state.values, strict=True))
    ]


class Engine(Protocol):
    """Runs the train step of one subject. Every run leaves its variables as they were."""

    subject: Subject

    def named_state(self, state: State) -> list[NamedValue]:
        """The values of `state` with role and unique path, in the order of the state."""
        ...

    def tensor(self, value: Tensor) -> Any:
        """A NumPy array as a tensor of the framework; a tensor as it is."""
        ...

    def run(
        self,
        state: State,
        batch: Batch,
        recording: Recording | None = None,
        *,
        keep_after: bool = False,
    ) -> EagerResult:
        """Run the train step on copies of `state`, with fresh metrics.

        A `recording` gets the leaves, those of `named_state` and then those of the batch, and then
        every primitive op of forward, backward and update. `recording.chain` has the calls of Keras
        objects. What the visitor of the recording raises (`Enough`) ends
        the run and passes through.
        """
        ...

    def compiled(self) -> Engine:
        """The engine whose `run` makes the step as one program, where the training compiles it.

        It is this one where the compiler computes what the operations do by themselves.
        """
        ...

    def update(self, state: State, updates: list[Update], factor: float) -> tuple[str, ...]:
        """Apply given gradients on `state`, learning rates times `factor`; names as `bad_state`."""
        ...

    def run_wide(self, state: State, batch: Batch) -> EagerResult:
        """The same step with every floating-point value in float64."""
        ...

    def on_device(self, device: str) -> AbstractContextManager[None]:
        """Inside the block, a run computes on `device`, one of `Backend.other_devices`."""
        ...

    def moved(self, tensor: Any, device: str) -> Any:
        """A tensor of a batch for a run on `device`."""
        ...

    def is_finite(self, tensor: Any) -> bool:
        """Whether every element is finite; integers always are."""
        ...

    def numpy(self, tensor: Tensor) -> np.ndarray:
        """The tensor on the host; bfloat16 as `ml_dtypes.bfloat16` or float32."""
        ...
