"""Earlier states of a training on the host, to compare a bad step with.

An earlier state shows whether values have grown, and which remedy would have kept them small. A
copy per step would be too expensive. So one is kept from the first step and one from the beginning
of an epoch some steps later, where Keras waits for the device anyway. No state of a model larger
than `MAX_BYTES` is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stayfinite.frameworks.state import State

MAX_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Spacing:
    """How many states are kept, and how far from each other.

    Attributes:
        min_steps: At least so many steps are between two.
        max_steps: In a loop without epochs, where the distances grow, at most so many.
        num_kept: So many are kept, the newest.
    """

    min_steps: int
    max_steps: int
    num_kept: int


USUAL = Spacing(min_steps=100, max_steps=1000, num_kept=2)
# A training that goes back to a state loses the steps since.
TO_GO_BACK = Spacing(min_steps=20, max_steps=100, num_kept=4)


@dataclass(frozen=True)
class Snapshot:
    """The state before `step`, in memory of its own.

    Attributes:
        step: That step.
        state: The state.
        owner: The identity of the optimizer, where a loop has several, each with its own state.
        rate: The learning rate, where it is in no variable of the state.
    """

    step: int
    state: State
    owner: int = 0
    rate: float | None = None


class Snapshots:
    """The newest states of one model.

    Attributes:
        spacing: How many, and how far from each other.
    """

    def __init__(self, spacing: Spacing = USUAL) -> None:
        self.spacing = spacing
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
        rate: float | None = None,
    ) -> None:
        """Keep the state before `step`, if one is due.

        Args:
            step: The number of the step that is about to be made.
            first_of_epoch: Whether it is the first of an epoch.
            num_bytes: How large the state is.
            copy: Makes the copy.
            owner: As in `Snapshot`.
            rate: As in `Snapshot`.
        """
        if self._too_large:
            return
        spacing = self.spacing
        if self._kept and not (first_of_epoch and step - self._kept[-1].step >= spacing.min_steps):
            return
        if num_bytes() > MAX_BYTES:
            self._too_large = True
            return
        kept = self._kept[1 - spacing.num_kept :]
        self._kept = [*kept, Snapshot(step, copy(), owner, rate)]

    def all(self, owner: int = 0) -> list[Snapshot]:
        """What is kept of an owner, newest first."""
        return [each for each in self._kept[::-1] if each.owner == owner]
