"""Earlier states of a training on the host, to compare a bad step with.

An earlier state shows whether values have grown, and which remedy would have kept them small. A
copy per step would be too expensive. So one is kept from the first step and one from the beginning
of an epoch at least `MIN_STEPS` before, where Keras waits for the device anyway. No state of a
model larger than `MAX_BYTES` is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stayfinite.frameworks.state import State

MAX_BYTES = 16 * 2**20
# A copy is made at most once in so many steps.
MIN_STEPS = 100


@dataclass(frozen=True)
class Snapshot:
    """The state before `step`, in memory of its own.

    `owner` is the identity of the optimizer, where a loop has several, each with its own state.
    """

    step: int
    state: State
    owner: int = 0


class Snapshots:
    """Up to two states of one model: the newest, and the one before it."""

    def __init__(self) -> None:
        self._kept: list[Snapshot] = []
        self._too_large = False

    def take(
        self,
        step: int,
        *,
        first_of_epoch: bool,
        num_bytes: Callable[[], int],
        copy: Callable[[], State],
        owner: int = 0,
    ) -> None:
        """Keep the state before `step`, if one is due.

        Args:
            step: The number of the step that is about to be made.
            first_of_epoch: Whether it is the first of an epoch.
            num_bytes: How large the state is.
            copy: Makes the copy.
            owner: As in `Snapshot`.
        """
        if self._too_large:
            return
        if self._kept and not (first_of_epoch and step - self._kept[-1].step >= MIN_STEPS):
            return
        if num_bytes() > MAX_BYTES:
            self._too_large = True
            return
        self._kept = [*self._kept[-1:], Snapshot(step, copy(), owner)]

    def all(self, owner: int = 0) -> list[Snapshot]:
        """What is kept of an owner, newest first."""
        return [each for each in self._kept[::-1] if each.owner == owner]
