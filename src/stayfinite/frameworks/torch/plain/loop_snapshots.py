"""Earlier states of the loops of a program, each of the network that a step has changed.

A program may train several networks, each by its own optimizer, and two of them may have the same
shapes. A snapshot is of use to a step of the same parameters only.
"""

from __future__ import annotations

from collections.abc import Callable

from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.snapshots import MIN_STEPS, Snapshot
from stayfinite.frameworks.state import State
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain.subject import TorchLoop
from stayfinite.frameworks.torch.state import num_bytes_of, state_of

# Snapshots are made at growing distances of up to so many steps.
_MAX_BETWEEN = 1000


class LoopSnapshots:
    """The snapshots of a program, and which variables each of them has the values of."""

    def __init__(self) -> None:
        self._next = 1
        self._variables: dict[int, list[object]] = {}

    def is_due(self, step: int) -> bool:
        """Whether a snapshot may be made before `step`."""
        return step >= self._next

    def take(self, recorder: Recorder, step: int, subject: Callable[[], TorchLoop]) -> None:
        """Keep the state before `step`, if it is not too large.

        Args:
            recorder: Keeps the snapshots.
            step: The number of the step.
            subject: Makes the subject of the step.
        """
        recorder.snapshots.take(
            step,
            first_of_epoch=True,
            num_bytes=lambda: num_bytes_of(subject()),
            copy=lambda: self._copy(step, subject()),
        )
        self._next = max(self._next, step + MIN_STEPS)

    def of(self, recorder: Recorder, subject: TorchLoop) -> list[Snapshot]:
        """Those of the variables of `subject`, newest first."""
        variables = _variables_of(subject)
        kept = recorder.snapshots.all()
        return [each for each in kept if self._variables.get(each.step) == variables]

    def _copy(self, step: int, subject: TorchLoop) -> State:
        """A copy of the state. The next one follows when twice as many steps are made."""
        self._next = min(2 * step, step + _MAX_BETWEEN)
        self._variables[step] = _variables_of(subject)
        return state_of(subject, device="cpu")


def _variables_of(subject: TorchLoop) -> list[object]:
    """The parameters that are trained as objects, all others by their names.

    A module may replace a buffer by a new tensor, and another frame may name a network anew.
    """
    trained = [id(private.tensor_of(each)) for each in subject.trainable_variables]
    return [*trained, *(each.path for each in subject.non_trainable_variables)]
