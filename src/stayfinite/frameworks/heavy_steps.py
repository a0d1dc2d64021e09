"""The steps of a heavy state: as they are without a guard, with a way back to the last good one.

The compiled step has no sentinel. The mean of the loss is read when it is ready. The state is
checked by a program of its own, before anything can see or save it. If one of them is bad, the
steps since the last snapshot are made again by the same compiled function on the same batches, each
with a check, up to the bad one.

That finds the same states where the device computes the same bits again. Where it does not, and the
steps are all finite the second time, the last of them counts as the bad one.
"""

from __future__ import annotations

import collections
import math
import time
from typing import NamedTuple

from stayfinite.frameworks.heavy import Window
from stayfinite.frameworks.heavy_state import HeavyState, LateNumber, Writes
from stayfinite.frameworks.recorded_steps import RecordedBatch, RecordedSeries
from stayfinite.frameworks.recorder import MAX_PENDING

# While steps are made again, so many steps are between two snapshots.
_STRIDE = 8
# So many checks beyond one in two steps are too many.
_MANY_CHECKS = 32


class _MadeStep(NamedTuple):
    """A step since the snapshot, with what was written to the state before it."""

    recorded: RecordedBatch
    writes: Writes


class HeavySteps(HeavyState):
    """Follows the steps of one training, and finds the bad one. A framework makes them.

    Args:
        num_bytes: The size of the state.

    Attributes:
        trusts_loss: False once the mean of the loss was non-finite in a step that was not bad.
            The steps after that have to be checked one by one.
    """

    def __init__(self, num_bytes: int) -> None:
        self.trusts_loss = True
        self._num_steps = 0
        self._num_checks_made = 0
        self._window = Window(num_bytes)
        self._has_begun = False
        # Whether the last snapshot was interrupted; the present state was finite then.
        self._is_snapshot_torn = False
        self._writes: Writes = {}
        # Since the snapshot, oldest first, and the same steps one by one while a bad one is looked
        # for.
        self._kept: list[_MadeStep | RecordedSeries] = []
        self._made: list[_MadeStep] = []
        self._num_made = 0
        self._num_checked = 0
        self._check_seconds = 0.0
        # Those that have not been read, oldest first.
        self._losses: collections.deque[LateNumber] = collections.deque()
        self._is_loss_bad = False

    @property
    def has_window(self) -> bool:
        """Whether there is a snapshot from which the present state can be made again."""
        return self._has_begun

    @property
    def is_checked_often(self) -> bool:
        """Whether the state is checked after nearly every step, because other code reads it."""
        return 2 * self._num_checks_made > self._num_steps + _MANY_CHECKS

    @property
    def has_unchecked(self) -> bool:
        """Whether steps were made since the last check."""
        return self._num_checked < self._num_made

    def begin_step(self, writes: Writes | None) -> None:
        """A step is about to be made.

        Args:
            writes: What other code wrote to the state since the last step; None where that is
                large or not known.
        """
        self._writes = {} if writes is None else writes
        # The time of a window may have ended since its last steps were made: these are checked
        # before the snapshot that they can be made again from is given up.
        is_over = self._window.is_over() and not self.has_unchecked
        if self._has_begun and writes is not None and not is_over:
            return
        self.wait()
        began = time.perf_counter()
        self._has_begun = False
        self._forget_steps()
        self._take_snapshot()
        self._window.begin(time.perf_counter() - began + self._check_seconds)
        self._has_begun, self._writes = True, {}

    def _take_snapshot(self) -> None:
        self._is_snapshot_torn = True
        self.copy()
        self._is_snapshot_torn = False

    def end_step(self, recorded: RecordedBatch, loss: LateNumber) -> None:
        """A step has been made. `loss` is the mean of the losses of the epoch."""
        self._num_steps += 1
        self._num_made += 1
        self._kept.append(_MadeStep(recorded, self._writes))
        self._window.add(recorded.num_bytes)
        self._losses.append(loss)

    def end_series(self, series: RecordedSeries, num_bytes: int, loss: LateNumber) -> None:
        """Steps have been made in a row, without another code that wrote to the state.

        Args:
            series: The steps.
            num_bytes: The size of their batches, as far as it is known.
            loss: The mean of the losses after the last one. If one of them is not finite, so is
                the mean after each later step of the epoch.
        """
        self._num_steps += len(series)
        self._num_made += len(series)
        self._kept.append(series)
        self._window.add(num_bytes)
        self._losses.append(loss)

    @property
    def end_of_window(self) -> float:
        """When another snapshot is due, on the clock of `time.perf_counter`."""
        return self._window.end

    def needs_check(self) -> bool:
        """Whether the steps have to be checked now: a loss is bad, or the window is over."""
        while self._losses and (len(self._losses) > MAX_PENDING or self._losses[0].is_ready()):
            self._read_loss()
        is_due = self._is_loss_bad or self._window.is_over()
        return is_due and self.has_unchecked

    def check(self) -> int | None:
        """Check the steps that have not been checked yet; returns the number of the first bad one.

        The state is then the one before it, and the next step begins a window.
        """
        if not self.has_unchecked:
            return None
        if self.is_used_up():
            # An interrupt came inside a step. As without a guard, no state is left to look at.
            self.forget()
            return None
        while self._losses:
            self._read_loss()
        self._num_checks_made += 1
        self.wait()
        began = time.perf_counter()
        is_finite = self.is_finite()
        self._check_seconds = time.perf_counter() - began
        if not is_finite or self._is_loss_bad:
            bad = self._find(is_finite)
            if bad is not None:
                self.forget()
                return bad
        self._num_checked, self._is_loss_bad = self._num_made, False
        return None

    def forget(self) -> None:
        """Begin a new window with the next step."""
        self._has_begun, self._is_loss_bad = False, False
        self._forget_steps()
        self._losses.clear()

    def _forget_steps(self) -> None:
        self._kept, self._made, self._num_made, self._num_checked = [], [], 0, 0

    def _take_apart(self) -> None:
        """Make single steps of the series."""
        self._made = []
        for kept in self._kept:
            if isinstance(kept, RecordedSeries):
                self._made += [_MadeStep(recorded, {}) for recorded in kept.batches()]
            else:
                self._made.append(kept)

    def _read_loss(self) -> None:
        loss = float(self._losses.popleft())
        self._is_loss_bad |= self.trusts_loss and not math.isfinite(loss)

    def _find(self, is_finite: bool) -> int | None:
        """The first bad step; None where only the mean of the loss is not finite.

        If it is interrupted, the state is the present one, or that of the snapshot if that is bad,
        or the one that a snapshot was being taken of.
        """
        self._take_apart()
        present = self.set_aside() if is_finite else self.drop()
        try:
            bad = self._search(is_finite)
        except BaseException:
            try:
                if not self._is_snapshot_torn:
                    self.restore()
                if is_finite:
                    self.take_back(present)
            finally:
                self.forget()
            raise
        if bad is None:
            self.take_back(present)
        return bad

    def _search(self, is_finite: bool) -> int | None:
        suspect, by_loss = self._first_suspect()
        if suspect is not None:
            self._go_before(suspect)
            recorded = self._made[suspect].recorded
            if not by_loss or self.is_bad(recorded.data):
                return recorded.step
            # The mean is past the range, the loss of the step is not.
            self.trusts_loss = False
            bad = self._first_bad_from(suspect)
            if bad is not None:
                return bad
        if is_finite:
            return None
        # The device did not compute the same again: the last step counts as the bad one.
        self._go_before(len(self._made) - 1)
        return self._made[-1].recorded.step

    def _first_bad_from(self, position: int) -> int | None:
        """The first step after `position` that is bad; the state is then the one before it.

        The state has to be the one before the step at `position`, which is not bad.
        """
        self.make(self._made[position].recorded.data)
        for made in self._made[position + 1 :]:
            self.write(made.writes)
            if self.is_bad(made.recorded.data):
                return made.recorded.step
            self.make(made.recorded.data)
        return None

    def _first_suspect(self) -> tuple[int | None, bool]:
        """The position of the first step that is bad when it is made again.

        Also whether nothing but the mean of the loss says so.
        """
        self.restore()
        position = 0
        while position < len(self._made):
            made = self._made[position]
            self.write(made.writes)
            loss = self.make(made.recorded.data)
            is_finite = self.is_finite()
            if not is_finite or (self.trusts_loss and not math.isfinite(float(loss))):
                return position, is_finite
            position += 1
            if position == _STRIDE < len(self._made):
                self._take_snapshot()
                self._made, position = self._made[_STRIDE:], 0
                self._kept = [*self._made]
                self._num_made = len(self._made)
        return None, False

    def _go_before(self, position: int) -> None:
        self.restore()
        for made in self._made[:position]:
            self.write(made.writes)
            self.make(made.recorded.data)
        self.write(self._made[position].writes)
