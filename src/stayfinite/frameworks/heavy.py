"""Heavy states: which trainings are checked in windows of many steps, and how long a window is.

To check each new state, and to keep the old one until then, moves the whole state through memory
several times. Where the state is large and the batch is not, that is most of the cost of a step. So
the step of a heavy state runs as it is. A snapshot is taken now and then, and the batches since are
kept. If the state is found to be bad, the steps since the snapshot are made again, each with a
check.

Where a state is small, a check in each step may cost more than the step itself. There, windows are
used in the epochs of `fit`, on a device that computes the same bits again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

# A state of this size is copied in about 20 ms.
MIN_STATE_BYTES = 64 * 2**20
MIN_BATCH_BUDGET = 32 * 2**20
# In a window of fewer steps, the snapshot costs more than the checks that it replaces.
MIN_STEPS = 8
# The part of the time of a training that snapshots may take.
SHARE = 0.015
# For a small state it is a part of that: the steps since a snapshot are soon made again, and what a
# clock shows is also the time of other programs.
_PART_FOR_SMALL = 0.2


def batch_budget(state_bytes: int) -> int:
    """How many bytes of batches a window may keep."""
    return max(MIN_BATCH_BUDGET, state_bytes // 8)


def is_heavy(state_bytes: int, batch_bytes: int) -> bool:
    """Whether a training is checked in windows, by the sizes of its state and of one batch."""
    return state_bytes >= MIN_STATE_BYTES and has_small_batches(state_bytes, batch_bytes)


def has_small_batches(state_bytes: int, batch_bytes: int) -> bool:
    """Whether a window can keep enough batches to be worth its snapshot."""
    return MIN_STEPS * batch_bytes <= batch_budget(state_bytes)


class Window:
    """How long the steps since one snapshot may go on.

    Args:
        state_bytes: The size of the state.
        clock: The time in seconds.
    """

    def __init__(self, state_bytes: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._budget = batch_budget(state_bytes)
        self._part = 1.0 if state_bytes >= MIN_STATE_BYTES else _PART_FOR_SMALL
        self._clock = clock
        self._cost = 0.0
        self._bytes = 0
        self._began = clock()

    def begin(self, cost: float) -> None:
        """A snapshot has been taken, which took `cost` seconds."""
        self._began, self._cost, self._bytes = self._clock(), cost, 0

    def add(self, batch_bytes: int) -> None:
        """A batch is kept."""
        self._bytes += batch_bytes

    def is_over(self) -> bool:
        """Whether another snapshot is due before the next step."""
        return self._bytes >= self._budget or self._clock() >= self.end

    @property
    def end(self) -> float:
        """The time at which it is over, if its batches are not too large before."""
        share = self._part * SHARE
        return self._began + self._cost / share if share else math.inf
