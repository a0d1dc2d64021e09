"""The last finite steps of the loops of a program, noted in the least time.

A `Recorder` describes and measures each step that it records. Of the steps of a loop it needs the
last few, and only where one is bad, so it gets them then.
"""

from __future__ import annotations

import collections

from stayfinite.frameworks.recorder import MAX_HEALTHY, MAX_HEALTHY_BYTES, Recorder
from stayfinite.frameworks.torch.plain.data import LoopData
from stayfinite.frameworks.torch.plain.step_data import NotedStep

# Batches of more bytes are measured in every step, smaller ones now and then.
_LARGE = 2**20
_STEPS_BETWEEN = 16


class RecentLoopSteps:
    """The last steps that were judged finite, as many as a recorder would keep.

    Args:
        recorder: Gets them by `hand_over`. It counts them at once.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._steps: collections.deque[tuple[int, LoopData | NotedStep]] = collections.deque()
        self._room = MAX_HEALTHY + 1
        self._next_measured = 0

    def add(self, step: int, data: LoopData | NotedStep) -> None:
        """Note the step of the number `step`."""
        steps = self._steps
        steps.append((step, data))
        if step >= self._next_measured:
            num_bytes = data.nbytes
            self._room = max(2, min(MAX_HEALTHY + 1, MAX_HEALTHY_BYTES // max(1, num_bytes)))
            self._next_measured = step + (1 if num_bytes > _LARGE else _STEPS_BETWEEN)
        while len(steps) > self._room:
            steps.popleft()

    def drop(self, num: int) -> None:
        """Forget the newest `num` steps, as they were undone."""
        for _ in range(min(num, len(self._steps))):
            self._steps.pop()

    def hand_over(self) -> None:
        """Have the recorder record them, oldest first."""
        for step, data in self._steps:
            self._recorder.keep_counted(step, data, data.nbytes)
        self._steps.clear()
