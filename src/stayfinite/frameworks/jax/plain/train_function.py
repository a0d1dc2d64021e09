"""The guarded step of a training on JAX without Keras: compiled with the sentinel inside.

The code of the guard is in no cache when it runs, and costs a good part of a short step. So a few
steps are only noted, and recorded together. The record of the last of them is waited for when as
many were made after it, which are still on their way: to wait for all would leave the device
without work. A record that is ready and says that a step was bad is judged at once. Where steps
take more than 50 milliseconds, the record of the step before the last is waited for.
"""

from __future__ import annotations

import collections
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from stayfinite.frameworks.base import OnBad
from stayfinite.frameworks.heavy_state import Writes
from stayfinite.frameworks.jax import guard_step
from stayfinite.frameworks.jax.host_data import is_changeable, own
from stayfinite.frameworks.jax.plain.compiled_step import CompiledStep
from stayfinite.frameworks.jax.plain.quick_steps import QuickSteps
from stayfinite.frameworks.jax.plain.step_record import LateRecord, new_record
from stayfinite.frameworks.jax.plain.trees import array_class
from stayfinite.frameworks.jax.plain.values import StepData
from stayfinite.frameworks.jax.state import written_since
from stayfinite.frameworks.loss_log import LoggedLoss
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.state import State
from stayfinite.frameworks.train_function import GuardedTrainFunction

if TYPE_CHECKING:
    from stayfinite.frameworks.jax.plain.subject import PlainJax

# No epoch bounds how late a record is read. The next step, or the next series, is prepared while
# the device makes one.
MAX_PENDING = 1
# The seconds between two quick steps, and how many in a row show that steps are quick. They are
# not any more if they take so many times as long: a busy machine makes some of them slower.
_QUICK, _QUICK_IN_A_ROW, _NOT_QUICK = 50e-3, 8, 4


class PlainTrainFunction(GuardedTrainFunction):
    """Makes the steps of `subject`; called with a state and an iterator over one batch."""

    def __init__(
        self, subject: PlainJax, recorder: Recorder, on_bad: OnBad, *, resumes: bool
    ) -> None:
        super().__init__(subject, recorder, on_bad, resumes=resumes)
        recorder.max_pending = MAX_PENDING
        self._plain = subject
        self._inner = self._made()
        self._quick = QuickSteps(self._inner, recorder.count)
        self._record = new_record()
        # The state after the last step, or the arrays and the structure of a result that has it.
        self._groups: Any = None
        self._left: Any = ()
        self._latest: Any = None
        # The steps whose losses were not read: the number after the last, how many, their record.
        self._unread: collections.deque[tuple[int, int, LateRecord]] = collections.deque()
        self._bad_loss: LoggedLoss | None = None
        self._told = False
        # The records of the newest step that was noted and of the one before; how many are noted
        # and may be, and when the first was made.
        self._noted: LateRecord | None = None
        self._before: LateRecord | None = None
        self._num_noted = 0
        self._limit = 0
        self._began = -math.inf
        self._num_quick = 0

    @property
    def _state(self) -> Any:
        if self._latest is not None:
            arrays, structure = self._latest
            _, weights, others = self._inner.apart(jax.tree.unflatten(structure, arrays))
            self._state = weights, others, [], []
        return self._groups

    @_state.setter
    def _state(self, groups: Any) -> None:
        self._groups, self._latest = groups, None

    def make_whole(
        self, args: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[Any, Any] | None:
        """Make the step of a call without taking it apart; None if it was not made.

        Returns what the call returns, and the record.
        """
        if self.resumes:
            return None
        self._end_quick()
        if self._noted is not None:
            self._judge_noted()
        data = self._inner.batch_of(args, keywords)
        if data is None:
            return None
        if not self._num_noted:
            self._begin_series(data, lambda: self._plain.calls.groups_of(args, keywords))
        made = self._inner.make_whole(self._record, args, keywords)
        if made is not None:
            result, self._record = made
            # The program may change what it is given, as by `pop`.
            self._latest = jax.tree.flatten(result)
            self._note(data)
            if self._num_quick >= _QUICK_IN_A_ROW:
                self._quick.begin(self._record, self._limit - self._num_noted)
                self._plain.quick = self._quick
        return made

    def _end_quick(self) -> None:
        """Take over the steps that were made the quick way."""
        quick, self._plain.quick = self._quick, None
        latest, record = quick.latest, quick.record
        batches = quick.end()
        if batches:
            self._latest, self._record = latest, record
            self._before, self._noted = None, LateRecord(record)
            self._recorder.note_counted(batches)
            self._num_noted += len(batches)

    def __call__(self, state: Any, iterator: Iterator[StepData]) -> Any:
        """Make one step of a call that was taken apart: `(logs, state)`."""
        self._end_quick()
        if self._num_quick < _QUICK_IN_A_ROW:
            return self._watched_step(state, iterator)
        if self._noted is not None:
            self._judge_noted()
        data = next(iterator)
        self._state = state
        if not self._num_noted:
            if self._recorder.most_noted(data.nbytes) < 2:
                self._num_quick = 0
                return self._watched_step(state, iter([data]))
            self._begin_series(data, lambda: state)
        logs, _ = self.make(data)
        self._note(own_batch(data))
        return logs, self._state

    def _begin_series(self, data: StepData, state: Callable[[], Any]) -> None:
        self._limit = max(1, self._recorder.most_noted(data.nbytes))
        self._remember(state)
        self._began = time.perf_counter()

    def _note(self, data: object) -> None:
        self._before, self._noted = self._noted, LateRecord(self._record)
        self._recorder.note(data)
        self._num_noted += 1

    def _judge_noted(self) -> None:
        """Judge the steps that are noted, if one of them is known to be bad, or there are many."""
        noted, before = self._noted, self._before
        assert noted is not None
        is_quick = self._num_quick >= _QUICK_IN_A_ROW
        if (noted.is_ready() and int(noted) >= 0) or (
            not is_quick and before is not None and int(before) >= 0
        ):
            self.poll(None, wait=True)
        elif self._num_noted >= self._limit:
            number, began = self._num_noted, self._began
            self.poll(None, wait=False)
            self._read_losses()
            seconds = (time.perf_counter() - began) / number
            if number > 1 and seconds <= _QUICK * (_NOT_QUICK if is_quick else 1):
                self._num_quick += number
            else:
                self._num_quick = 0

    def end_series(self) -> None:
        """Record the steps that are noted, and queue their record."""
        super().end_series()
        self._end_quick()
        number, self._num_noted = self._num_noted, 0
        if number:
            assert self._noted is not None
            self._recorder.record_noted()
            self._queue(self._noted, number)

    def _queue(self, record: LateRecord, number: int) -> None:
        """Queue the record of the last steps; how many they are."""
        self.queue(record)
        self._unread.append((self._recorder.num_steps, number, record))

    def _watched_step(self, state: Any, iterator: Iterator[StepData]) -> Any:
        """Make one step, and judge the one before the last."""
        now = time.perf_counter()
        is_quick = not self.resumes and now - self._began < _QUICK
        self._num_quick, self._began = self._num_quick + 1 if is_quick else 0, now
        self.enter(iterator)
        self._state = state
        self.poll(None, wait=False)
        self._read_losses()
        self._remember(lambda: state)
        batches = self._recorder.recording(iterator, own=own_batch, may_borrow=is_changeable)
        logs, record = self.make(next(batches))
        self._unread.append((self._recorder.num_steps, 1, record))
        logs = self.expect(record, logs)
        self._left = self._state if self.resumes else ()
        return logs, self._state

    def written(self) -> Writes | None:
        """The arrays that are not those of the last step."""
        return written_since(self._left, self._state)

    def copied(self) -> State:
        """A copy of the state for the next step."""
        return State.of(self._state).map(np.array)

    def begin_sentinel(self) -> None:
        """Begin a new sentinel."""
        self._record = new_record()
        self._noted = self._before = None

    def _remember(self, state: Callable[[], Any]) -> None:
        self.remember(lambda: _num_bytes(state()), lambda: State.of(state()).map(np.array))

    def _read_losses(self, until: int | None = None) -> None:
        """Read the losses of the steps before `until`, or of those whose flags have been read.

        They are kept as numbers. Arrays that are kept for long cut the free memory into parts.
        """
        watches = not self._told and not self._plain.skips_bad_updates
        while self._unread:
            after, number, record = self._unread[0]
            if after > self._recorder.num_judged if until is None else after - number >= until:
                return
            self._unread.popleft()
            for step, loss in enumerate(record.losses(number), after - number):
                if loss is None or (until is not None and step >= until):
                    continue
                self._recorder.losses.keep(step, None, loss)
                if watches and self._bad_loss is None and not math.isfinite(loss):
                    self._bad_loss = LoggedLoss(step, None, loss)

    def bad_loss(self) -> LoggedLoss | None:
        """The loss of the first step that was good but for it, where it is asked the first time."""
        if self._told or self._bad_loss is None:
            return None
        self._told = True
        return self._bad_loss

    def end_epoch(self) -> None:
        """Read every flag, and every loss."""
        super().end_epoch()
        self._read_losses()

    def make(self, data: object) -> tuple[Any, LateRecord]:
        """Make one step from the present state on."""
        assert isinstance(data, StepData)
        logs, state = self._inner((*self._state, self._record), data)
        self._state, self._record = tuple(state[:4]), state[4]
        return logs, LateRecord(self._record)

    def last_good(self, step: int) -> State:
        """The state before the bad step, which no later step has changed."""
        state = State.of(self._state)
        self._read_losses(step)
        self.begin_sentinel()
        self._unread.clear()
        self._plain.kept = state
        return state

    def fails_again(self, state: State, data: object) -> bool:
        """Run the compiled step once more; nothing is donated to it."""
        groups = [list(group) for group in state.groups]
        assert isinstance(data, StepData)
        _, after = self._inner((*groups, new_record()), data)
        return int(LateRecord(after[4])) >= 0

    def is_same_program(self, state: State, data: object) -> bool:
        """Whether the step that is traced again is the program that made the steps."""
        groups = [list(group) for group in state.groups]
        assert isinstance(data, StepData)
        anew = self._made(is_again=True)
        anew.form, anew.batch = self._inner.form, self._inner.batch
        given = (*groups, new_record())
        return anew.program(given, data) == self._inner.program(given, data)

    def set_state(self, state: State) -> None:
        """Take `state` for the next step."""
        self._state = tuple([jax.numpy.asarray(v) for v in group] for group in state.groups)
        self._plain.kept = State.of(self._state)

    def present(self) -> State:
        """The state that the next step is made on, with settings that were changed."""
        return self._plain.kept or State.of(self._state)

    def rebuild(self) -> None:
        """Trace the step again, and every function that it calls."""
        jax.clear_caches()
        self._end_quick()
        self._inner = self._made(is_again=True)
        self._quick = QuickSteps(self._inner, self._recorder.count)

    def resumed(self) -> None:
        """Nothing: the state is returned to the user's loop."""

    def went_back(self) -> None:
        """Nothing: every step has its flag."""

    def _made(self, *, is_again: bool = False) -> CompiledStep:
        subject = self._plain
        step = guard_step.guarded(
            subject.train_step,
            subject.step_library,
            may_keep_infinity=subject.may_keep_infinity,
            arrays_read=subject.arrays_read,
            keeps_metrics=self.resumes,
            is_donated=False,
        )
        return subject.compiled_step(step, is_again=is_again)


def own_batch(data: object) -> object:
    """A batch of a step that no code of the user's can write to."""
    assert isinstance(data, StepData)
    concrete = array_class()
    return data if all([type(array) is concrete for array in data.arrays]) else own(data)


def _num_bytes(state: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(state))
