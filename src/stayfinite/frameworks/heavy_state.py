"""What a framework does with the state of a training that is checked in windows."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stayfinite.frameworks.host_copies import HostCopies
from stayfinite.frameworks.kept_in_memory import CopyKind, KeptInMemory
from stayfinite.frameworks.subject import Subject

# What other code may write to the state between two steps without a new snapshot: a learning rate,
# metrics that are reset.
MAX_WRITTEN_BYTES = 2**20
# What other code wrote to the state, by the position of the variable.
Writes = Mapping[int, np.ndarray]


class LateNumber(Protocol):
    """A number that the device may not have computed yet."""

    def is_ready(self) -> bool:
        """Whether reading it would not wait."""
        ...

    def __float__(self) -> float: ...


@dataclass(frozen=True)
class HeavyTraining:
    """A training whose state is heavy.

    Attributes:
        subject: The training.
        plain: Makes a step without a sentinel.
        fails: Makes a step on a batch with the sentinel, and undoes it; whether it is bad.
        num_bytes: The size of the state.
        in_memory: Is told of a snapshot that could not be written to a file.
    """

    subject: Subject
    plain: Callable[..., Any]
    fails: Callable[[object], bool]
    num_bytes: int
    in_memory: KeptInMemory

    def host_copies(self) -> HostCopies:
        """Where a snapshot on the host is."""
        return HostCopies(self.in_memory.of(CopyKind.STATE))


class HeavyState(abc.ABC):
    """The state of one training, and the steps that change it."""

    @abc.abstractmethod
    def wait(self) -> None:
        """Until the device has computed the present state."""

    @property
    @abc.abstractmethod
    def snapshot_bytes(self) -> int:
        """The size of the snapshot, wherever it is: on the host, in a file or on the device."""

    @abc.abstractmethod
    def copy(self) -> None:
        """Take a snapshot of the present state in the place of the last one."""

    @abc.abstractmethod
    def restore(self) -> None:
        """Make the snapshot the present state."""

    @abc.abstractmethod
    def write(self, writes: Writes) -> None:
        """Write to the present state."""

    @abc.abstractmethod
    def make(self, data: object) -> LateNumber:
        """Make a step from the present state on; returns the mean of the loss."""

    @abc.abstractmethod
    def is_finite(self) -> bool:
        """Whether the present state is finite, metrics left out."""

    @abc.abstractmethod
    def is_bad(self, data: object) -> bool:
        """Make a step with the sentinel, and undo it; whether it is bad."""

    @abc.abstractmethod
    def set_aside(self) -> object:
        """The present state, to be given to `take_back`."""

    @abc.abstractmethod
    def take_back(self, state: object) -> None:
        """Make what was set aside the present state again."""

    @abc.abstractmethod
    def drop(self) -> None:
        """Free the memory of the present state, if the framework can."""

    def is_used_up(self) -> bool:
        """Whether a step that did not end has taken the arrays of the present state."""
        return False
