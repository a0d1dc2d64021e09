"""The losses of the last steps as the train function returned them, read when they are needed.

Reading a loss would make the host wait for the device, so only a reference to the scalar is kept.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import SupportsFloat

from stayfinite.frameworks.state import Tensor

MAX_LOSSES = 1000


@dataclass(frozen=True)
class LoggedLoss:
    """The loss in the logs of a step. With Keras's own train step, the mean of the epoch so far."""

    step: int
    epoch: int | None
    loss: float


_Kept = tuple[int, int | None, Tensor | SupportsFloat]


class LossLog:
    """The scalars of up to a thousand steps."""

    def __init__(self) -> None:
        self._kept: collections.deque[_Kept] = collections.deque(maxlen=MAX_LOSSES)

    def keep(self, step: int, epoch: int | None, loss: Tensor | SupportsFloat) -> None:
        """Keep the loss of `step`, a scalar."""
        self._kept.append((step, epoch, loss))

    def before(self, step: int) -> tuple[LoggedLoss, ...]:
        """The losses before `step`, oldest first, without any that is not one number; this waits.

        A step that was made again has the loss of the last time.
        """
        found = {}
        for number, epoch, loss in self._kept:
            if number >= step:
                continue
            try:
                value = float(loss)  # type: ignore[arg-type]  # a scalar of the framework
            except (TypeError, ValueError, RuntimeError):
                continue
            found[number] = LoggedLoss(number, epoch, value)
        return tuple(found[number] for number in sorted(found))
