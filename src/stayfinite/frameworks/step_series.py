"""Steps of a small state within a window, noted in a list and recorded later, all at once.

The step of a small network takes a few hundred microseconds. To record each one where it is made
would cost a tenth of that, most of it because the code of the guard is in no cache by then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from stayfinite.frameworks.heavy_state import LateNumber
from stayfinite.frameworks.heavy_steps import HeavySteps
from stayfinite.frameworks.recorded_steps import RecordedSeries, num_bytes_of
from stayfinite.frameworks.recorder import Recorder


class StepSeries:
    """Steps since the last one that was recorded, each on the state that the one before left.

    Args:
        recorder: Records them.

    Attributes:
        limit: How many steps it may have.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._logs: list[Mapping[str, Any]] = []
        self.limit = 0
        self._until = 0.0
        # The size of the last batch of the series before.
        self._num_bytes = 0
        # Of the series before: the device has computed them by the end of this one.
        self._unread: tuple[RecordedSeries, list[Mapping[str, Any]]] | None = None
        self._reads_losses = False

    def __bool__(self) -> bool:
        return bool(self._logs)

    def begin(
        self, steps: HeavySteps, late: Callable[[Any], LateNumber], *, reads_losses: bool
    ) -> None:
        """Steps like the last recorded one may be noted from here on, up to a limit.

        Args:
            steps: The window.
            late: Makes a number that is read later of a loss of the framework.
            reads_losses: Whether the log of losses gets numbers. Arrays of JAX that are kept for
                long cut the free memory into parts.
        """
        self._late, self._reads_losses = late, reads_losses
        self._open(steps, self._recorder.newest.num_bytes)

    def begin_next(self, steps: HeavySteps) -> None:
        """As `begin`, after a series of the same window that was recorded."""
        self._open(steps, self._num_bytes)

    def _open(self, steps: HeavySteps, num_bytes: int) -> None:
        self.limit = self._recorder.most_noted(num_bytes)
        self._until = steps.end_of_window

    def has_room(self) -> bool:
        """Whether the next step may be noted; else it is made as the first of another series."""
        return len(self._logs) < self.limit and time.perf_counter() < self._until

    def note(self, data: object, logs: Mapping[str, Any]) -> None:
        """A step has been made on `data`, which nothing else can write to."""
        self._logs.append(logs)
        self._recorder.note(data)

    def end(self, steps: HeavySteps) -> None:
        """Record the steps."""
        logs, self._logs, self.limit = self._logs, [], 0
        self.read_losses()
        series = self._recorder.record_noted()
        self._unread = series, logs
        self._num_bytes = num_bytes_of(series.data[-1])
        steps.end_series(series, len(series) * self._num_bytes, self._late(logs[-1]["loss"]))

    def read_losses(self) -> None:
        """Add the losses of the recorded steps that are not in the log of losses."""
        if self._unread is None:
            return
        series, logs = self._unread
        self._unread = None
        keep, late = self._recorder.losses.keep, self._late
        for step, of_step in enumerate(logs, series.step):
            loss = late(of_step["loss"])
            keep(step, series.epoch, float(loss) if self._reads_losses else loss)
