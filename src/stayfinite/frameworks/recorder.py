"""The recent batches of one model, and the flags that have not been read yet.

Reading a flag that the device has not computed yet would make the host wait on every step. So
flags are queued and read when they are ready; only a long queue makes the host wait, on its
oldest entry.
"""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from stayfinite.frameworks.disks import fits_in_memory
from stayfinite.frameworks.filed_batch import BatchFile, FiledBatch, TensorForm
from stayfinite.frameworks.kept_in_memory import CopyKind, KeptInMemory
from stayfinite.frameworks.loss_log import LossLog
from stayfinite.frameworks.recorded_steps import RecordedBatch, RecordedSeries, num_bytes_of
from stayfinite.frameworks.snapshots import Snapshots
from stayfinite.frameworks.state_log import MadeAgain, StateLog

# The host may be this many steps ahead of the oldest unread flag. XLA's own queue is shorter on
# CPU and about this long on a GPU, so waiting here costs nothing.
MAX_PENDING = 16
MAX_HEALTHY = 8
# Bytes of kept batches; at least one batch is kept, of any size.
MAX_HEALTHY_BYTES = 32 * 2**20
# A larger batch that may be written to later is not copied: its flag is read before that.
MAX_COPIED_BYTES = 8 * 2**20
# Bytes of the batches whose flags are unread, of more than one step.
MAX_UNREAD_BYTES = 64 * 2**20
# Bytes of batches that are noted in a row, to be recorded together.
MAX_NOTED_BYTES = 8 * 2**20
# The part of the time of a training that copies of such batches may take.
COPY_SHARE = 0.01


class Flag(Protocol):
    """A device scalar: the number of the first bad step, or -1."""

    def is_ready(self) -> bool:
        """Whether reading the flag would not wait."""
        ...

    def __int__(self) -> int: ...


class KnownFlag:
    """A flag whose value is on the host."""

    def __init__(self, first_bad: int) -> None:
        self._first_bad = first_bad

    def is_ready(self) -> bool:
        """Always."""
        return True

    def __int__(self) -> int:
        return self._first_bad


@dataclasses.dataclass
class StepCount:
    """How many steps a model has made; outlives the model."""

    num_steps: int = 0


class Recorder:
    """Batches of the steps whose flags are unread, and of up to eight healthy steps before.

    Attributes:
        max_pending: So many flags may be unread when the next step begins.
        state_log: What makes the present state again, for a training that may go back.
        made_again: Makes the state before the bad step again that is handled now.
        in_memory: The copies that could not be written to a file.
    """

    def __init__(self) -> None:
        self.max_pending = MAX_PENDING
        self.count = StepCount()
        self.snapshots = Snapshots()
        self.state_log: StateLog | None = None
        self.made_again: Callable[[], MadeAgain | None] = lambda: None
        self.losses = LossLog()
        self.in_memory = KeptInMemory()
        self.epoch: int | None = None
        self._batch = 0
        # Oldest first; the series are newer than the steps, and what was noted is the newest.
        self._steps: collections.deque[RecordedBatch] = collections.deque()
        self._series: list[RecordedSeries] = []
        self._noted: list[object] = []
        self._first_noted = 0
        self._pending: collections.deque[tuple[int, Flag]] = collections.deque()
        self._own: Callable[[object], object] = lambda data: data
        self._form: TensorForm | None = None
        self._is_lent = False
        # Has the data of one of the steps at most.
        self._batch_file: BatchFile | None = None
        self._next_copy = 0.0

    @property
    def num_steps(self) -> int:
        """Steps recorded so far; the number of the next one."""
        return self.count.num_steps

    @property
    def num_judged(self) -> int:
        """Steps before the first whose flag is unread."""
        return self._pending[0][0] if self._pending else self.num_steps

    @property
    def has_unread(self) -> bool:
        """Whether a flag has not been read yet."""
        return bool(self._pending)

    @property
    def newest(self) -> RecordedBatch:
        """The last recorded step."""
        return self._all()[-1]

    def begin_epoch(self, epoch: int | None) -> None:
        """Count batches from 0 again; `epoch` is None outside `fit`."""
        self.record_noted()
        self.epoch = epoch
        self._batch = 0

    @property
    def is_borrowing(self) -> bool:
        """Whether the flag of the last step has to be read before other code goes on."""
        if self._is_lent:
            return False
        # What is noted is never borrowed.
        is_noted = bool(self._noted or self._series)
        return not is_noted and bool(self._steps) and self._steps[-1].is_borrowed

    def recording(
        self,
        iterator: Iterator[object],
        *,
        own: Callable[[object], object] = lambda data: data,
        may_borrow: Callable[[object], bool] = lambda data: False,
        form: TensorForm | None = None,
        is_lent: bool = False,
    ) -> Iterator[object]:
        """`iterator`, with a note of each batch that is drawn from it.

        Args:
            iterator: The batches.
            own: Makes a batch safe from being written to later.
            may_borrow: Whether a large batch is kept as it is until the flag of its step is read.
            form: The tensors that a batch may have.
            is_lent: Whether nothing writes to the batches before all flags of the epoch are read.
        """
        self._own, self._form, self._is_lent = own, form, is_lent
        for data in iterator:
            batch = None if self.epoch is None else self._batch
            num_bytes = num_bytes_of(data)
            borrowed = num_bytes > MAX_COPIED_BYTES and may_borrow(data)
            kept = data if borrowed else own(data)
            self._all().append(
                RecordedBatch(self.num_steps, self.epoch, batch, kept, num_bytes, borrowed)
            )
            self.count.num_steps += 1
            self._batch += 1
            yield data

    def drop_newest(self) -> None:
        """The last recorded step has trained nothing, and is none."""
        self._all().pop()
        self.count.num_steps -= 1

    def note(self, data: object) -> None:
        """Record a step after the last one on `data`, which nothing else can write to.

        This is faster than `recording`.
        """
        if not self._noted:
            self._first_noted = self.count.num_steps
        self._noted.append(data)
        self.count.num_steps += 1

    def note_counted(self, data: Sequence[object]) -> None:
        """Record steps as `note` does, which are the last ones in `count` already."""
        if not self._noted:
            self._first_noted = self.count.num_steps - len(data)
        self._noted += data

    def record_noted(self) -> RecordedSeries:
        """The steps that were noted since the last call, as a series."""
        data, self._noted = self._noted, []
        batch = None if self.epoch is None else self._batch
        # Steps after these may be in `count`, of which nothing was noted yet.
        series = RecordedSeries(self._first_noted, self.epoch, batch, data)
        self._batch += len(data)
        if data:
            self._series.append(series)
        return series

    def _all(self) -> collections.deque[RecordedBatch]:
        """All recorded steps, one by one."""
        if self._noted:
            self.record_noted()
        for series in self._series:
            self._steps += series.batches()
        self._series.clear()
        return self._steps

    def keep(self, data: object, num_bytes: int) -> None:
        """Record a step that is judged already, and drop the oldest beyond the limits."""
        self.keep_counted(self.num_steps, data, num_bytes)
        self.count.num_steps += 1

    def keep_counted(self, step: int, data: object, num_bytes: int) -> None:
        """Record a judged step that has its number already, and drop the oldest."""
        self._all().append(RecordedBatch(step, self.epoch, None, data, num_bytes))
        total = sum([recorded.num_bytes for recorded in self._steps])
        while len(self._steps) > MAX_HEALTHY + 1 or (
            len(self._steps) > 2 and total > MAX_HEALTHY_BYTES
        ):
            total -= self._steps.popleft().num_bytes

    def expect(self, flag: Flag) -> None:
        """Queue `flag`, which covers every step up to the last recorded one."""
        self._pending.append((self.num_steps - 1, flag))

    def first_bad(self, *, wait: bool) -> int | None:
        """The first bad step that is known by now; with `wait`, of all recorded steps."""
        while self._pending:
            last_step, flag = self._pending[0]
            if not (wait or self._has_many_unread() or flag.is_ready()):
                return None
            self._pending.popleft()
            bad = int(flag)
            if bad >= 0:
                self._pending.clear()
                return bad
            self._forget_before(last_step + 1)
        return None

    def _has_many_unread(self) -> bool:
        """Whether too many steps are unread; of large batches, more than the last one."""
        num_unread = len(self._pending)
        if num_unread > self.max_pending:
            return True
        largest = self._steps[-1].num_bytes if self._steps else 0
        return num_unread > 1 and largest * num_unread > MAX_UNREAD_BYTES

    def most_noted(self, num_bytes: int) -> int:
        """How many batches of this size may be noted in a row."""
        return min(MAX_PENDING, MAX_NOTED_BYTES // max(1, num_bytes))

    def newest_data(self) -> object:
        """The data of the last recorded step; None if it is not kept."""
        steps = self._all()
        loaded = _loaded(steps[-1]) if steps else None
        return None if loaded is None else loaded.data

    def batch_of(self, step: int) -> object:
        """The data of a step whose flag is being read."""
        return next(r.data for r in self._all() if r.step == step)

    def after(self, step: int) -> list[RecordedBatch]:
        """The steps after `step`, oldest first."""
        return [r for r in self._all() if r.step > step]

    def take(self, step: int) -> tuple[RecordedBatch, list[RecordedBatch]]:
        """The bad step and the healthy ones before it, newest first; only these are kept.

        Of a window, which may have hundreds, they are as many as flags wait at most.
        """
        bad = next(r for r in self._all() if r.step == step)
        while self._steps and self._steps[-1].step >= step:
            self._steps.pop()
        while len(self._steps) > MAX_PENDING + MAX_HEALTHY:
            self._steps.popleft()
        self.count.num_steps = step + 1
        loaded = map(_loaded, reversed(self._steps))
        return bad, [recorded for recorded in loaded if recorded is not None]

    def again(self, recorded: RecordedBatch) -> None:
        """Record a step that was taken back and is made again."""
        self._all().append(recorded)
        self.count.num_steps = recorded.step + 1

    def forget(self) -> None:
        """Drop every batch."""
        self._all().clear()

    def _forget_before(self, step: int) -> None:
        self._own_one_before(step)
        if self._forget_series_before(step):
            return
        healthy = [r for r in self._all() if r.step < step]
        total = 0
        keep = 0
        for recorded in reversed(healthy):
            total += recorded.num_bytes
            if keep == MAX_HEALTHY or (keep and total > MAX_HEALTHY_BYTES):
                break
            keep += 1
        for _ in range(len(healthy) - keep):
            self._steps.popleft()

    def _forget_series_before(self, step: int) -> bool:
        """Drop all that is older than series with enough healthy steps, as it is.

        Returns whether the series have enough of them.
        """
        num_kept = 0
        for position in range(len(self._series) - 1, -1, -1):
            series = self._series[position]
            num_kept += min(max(0, step - series.step), len(series))
            if num_kept >= MAX_HEALTHY:
                del self._series[:position]
                self._steps.clear()
                return True
        return False

    def _own_one_before(self, step: int) -> None:
        """Drop the borrowed batches of the steps before `step`.

        Now and then the newest of them is copied, to compare a bad step with.
        """
        borrowed = [r for r in self._steps if r.is_borrowed and r.step < step]
        if not borrowed:
            return
        newest = borrowed[-1]
        kept = [r for r in self._steps if not r.is_borrowed or r.step >= step]
        self._steps = collections.deque(kept)
        began = time.perf_counter()
        if began >= self._next_copy:
            owned = dataclasses.replace(newest, data=self._copy_of(newest), is_borrowed=False)
            in_order = sorted([*self._steps, owned], key=lambda recorded: recorded.step)
            self._steps = collections.deque(in_order)
            ended = time.perf_counter()
            self._next_copy = ended + (ended - began) / COPY_SHARE

    def _copy_of(self, recorded: RecordedBatch) -> object:
        """The data of a step as nothing else can write to it; in a file if it is large."""
        if fits_in_memory(recorded.num_bytes, is_on_host=True):
            return self._own(recorded.data)
        if self._batch_file is None:
            self._batch_file = BatchFile(self._form, self.in_memory.of(CopyKind.BATCH))
        kept = [r for r in self._steps if not isinstance(r.data, FiledBatch)]
        self._steps = collections.deque(kept)
        return self._batch_file.keep(recorded.data, self._own) or self._own(recorded.data)


def _loaded(recorded: RecordedBatch) -> RecordedBatch | None:
    """A step with its data in memory; None if they are lost."""
    if not isinstance(recorded.data, FiledBatch):
        return recorded
    try:
        return dataclasses.replace(recorded, data=recorded.data.load())
    except OSError:
        return None
