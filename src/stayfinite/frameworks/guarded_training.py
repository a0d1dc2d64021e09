"""What a framework provides of a guarded training, so that its steps can be made again."""

from __future__ import annotations

import abc
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from stayfinite.frameworks.heavy_state import Writes
from stayfinite.frameworks.recorder import Flag
from stayfinite.frameworks.state import RandomState, State


class ValuesOfSteps(Protocol):
    """What the steps of a training set beside its variables."""

    def begin(self, step: int, *, always: bool) -> None:
        """Note what is there before the step `step`, whose data are drawn.

        Args:
            step: Its number.
            always: Whether to note the generators also where no step drew from them.
        """
        ...

    def restore_before(self, step: int) -> None:
        """Have everything as it was before the step `step`, if that is the last one."""
        ...

    def kept(self) -> AbstractContextManager[None]:
        """Everything is after the block as it was before it."""
        ...


class GuardedTraining(abc.ABC):
    """A training whose state can be read and set, and whose steps can be made again."""

    @abc.abstractmethod
    def present(self) -> State:
        """The values of the variables."""

    @abc.abstractmethod
    def copied(self) -> State:
        """A copy of the present state on the host, also between steps that are made again."""

    def on_host(self, value: object) -> np.ndarray:
        """A value of such a copy as an array."""
        return np.asarray(value)

    @abc.abstractmethod
    def set_state(self, state: State) -> None:
        """Set the model to `state`, also in the middle of `fit`; arrays of NumPy are copied."""

    @abc.abstractmethod
    def last_good(self, step: int) -> State:
        """Set the model to the state before the bad step `step`, and begin a new sentinel."""

    @abc.abstractmethod
    def begin_sentinel(self) -> None:
        """Begin a new sentinel, which counts its steps from 0."""

    @abc.abstractmethod
    def make(self, data: object) -> tuple[Any, Flag]:
        """Make one step from the present state on; its logs and its flag."""

    @abc.abstractmethod
    def fails_again(self, state: State, data: object) -> bool:
        """Run the compiled step on copies; whether it is non-finite. `state` is the present one."""

    @abc.abstractmethod
    def rebuild(self) -> None:
        """Compile the step again, because its source or a setting was changed."""

    @abc.abstractmethod
    def went_back(self) -> None:
        """Called when the steps of a heavy state have made an earlier state the present one."""

    @abc.abstractmethod
    def resumed(self) -> None:
        """Called when the last of the steps that are made again has been made."""

    def written(self) -> Writes | None:
        """What other code wrote to the state since the last step; None if that is much.

        It is asked for where a training may go back; nothing is seen of what is not known.
        """
        return {}

    def random_now(self) -> RandomState | None:
        """The random generators outside of the state, where there are any."""
        return None

    def values_of_steps(self) -> ValuesOfSteps | None:
        """What the steps set beside the variables; None if they set nothing that is known."""
        return None

    def detached(self, loss: Any) -> Any:
        """`loss` as a value that holds nothing else of the step in memory."""
        return loss
