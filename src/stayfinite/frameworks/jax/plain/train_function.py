"""The guarded step of a training on JAX without Keras: compiled with the sentinel inside.

The code of the guard is in no cache when it runs, and costs a good part of a short step. So up to
16 steps are only noted. They are recorded together, and judged as soon as a flag that is ready says
that a step was bad. Where steps take more than a millisecond, the flag of the step before the last
is waited for.
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
from stayfinite.frameworks.jax.host_data import LateScalar, is_changeable, own
from stayfinite.frameworks.jax.plain.compiled_step import CompiledStep, WholeResult
from stayfinite.frameworks.jax.plain.trees import array_class
from stayfinite.frameworks.jax.plain.values import StepData
from stayfinite.frameworks.jax.state import written_since
from stayfinite.frameworks.keras.train_function import GuardedTrainFunction
from stayfinite.frameworks.recorder import Flag, Recorder
from stayfinite.frameworks.state import State

if TYPE_CHECKING:
    from stayfinite.frameworks.jax.plain.subject import PlainJax

# No epoch bounds how late a flag is read. The next step is prepared while the device makes one.
MAX_PENDING = 1
# The seconds between two quick steps, and how many in a row show that steps are quick.
_QUICK, _QUICK_IN_A_ROW = 1e-3, 8


class PlainTrainFunction(GuardedTrainFunction):
    """Makes the steps of `subject`; called with a state and an iterator over one batch."""

    def __init__(
        self, subject: PlainJax, recorder: Recorder, on_bad: OnBad, *, resumes: bool
    ) -> None:
        super().__init__(subject, recorder, on_bad, resumes=resumes)
        recorder.max_pending = MAX_PENDING
        self._plain = subject
        self._inner = self._made()
        self._sentinel = guard_step.new_sentinel()
        # The state after the last step, or the result that has it.
        self._groups: Any = None
        self._left: Any = ()
        self._latest: Any = None
        self._losses: collections.deque[tuple[int, Any]] = collections.deque()
        self._bad_loss: int | None = None
        self._told = False
        # The steps that are noted: the flags of the newest and of the one before, how many they are
        # and may be, and when the first was made.
        self._noted: Flag | None = None
        self._before: Flag | None = None
        self._num_noted = 0
        self._limit = 0
        self._began = -math.inf
        self._num_quick = 0

    @property
    def _state(self) -> Any:
        if self._latest is not None:
            _, weights, others = self._inner.apart(self._latest)
            self._state = weights, others, [], []
        return self._groups

    @_state.setter
    def _state(self, groups: Any) -> None:
        self._groups, self._latest = groups, None

    def make_whole(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> WholeResult | None:
        """Make the step of a call without taking it apart; None if it was not made."""
        if self.resumes:
            return None
        self._judge_noted()
        data = self._inner.batch_of(args, keywords)
        if data is None:
            return None
        if self._noted is None:
            self._begin_series(data, lambda: self._plain.groups_of(args, keywords))
        made = self._inner.make_whole(self._sentinel, args, keywords)
        if made is None:
            return None
        self._latest, self._sentinel = made.result, made.sentinel
        self._note(data, LateScalar(made.first_bad), made.loss)
        return made

    def __call__(self, state: Any, iterator: Iterator[StepData]) -> Any:
        """Make one step of a call that was taken apart: `(logs, state)`."""
        if self._num_quick < _QUICK_IN_A_ROW:
            return self._watched_step(state, iterator)
        self._judge_noted()
        data = next(iterator)
        self._state = state
        if self._noted is None:
            if self._recorder.most_noted(data.nbytes) < 2:
                self._num_quick = 0
                return self._watched_step(state, iter([data]))
            self._begin_series(data, lambda: state)
        logs, flag = self.make(data)
        self._note(own_batch(data), flag, logs["loss"])
        return logs, self._state

    def _begin_series(self, data: StepData, state: Callable[[], Any]) -> None:
        self._limit = max(1, self._recorder.most_noted(data.nbytes))
        self._remember(state)
        self._began = time.perf_counter()

    def _note(self, data: object, flag: Flag, loss: Any) -> None:
        self._before, self._noted = self._noted, flag
        self._recorder.note(data)
        self._num_noted += 1
        self._keep_loss({"loss": loss})

    def _judge_noted(self) -> None:
        """Judge the steps that are noted, if one of them is known to be bad, or there are many."""
        flag, before = self._noted, self._before
        if flag is None:
            return
        if self._limit == 1:
            self.poll(None, wait=False)
            self._read_losses()
        elif (
            self._num_noted >= self._limit
            or (flag.is_ready() and int(flag) >= 0)
            or (before is not None and self._num_quick < _QUICK_IN_A_ROW and int(before) >= 0)
        ):
            number = self._num_noted
            self.poll(None, wait=True)
            self._read_losses()
            is_quick = time.perf_counter() - self._began <= number * _QUICK
            self._num_quick = self._num_quick + number if is_quick else 0

    def end_series(self) -> None:
        """Record the steps that are noted, and queue their flag."""
        super().end_series()
        if self._noted is not None:
            flag, self._noted, self._before, self._num_noted = self._noted, None, None, 0
            self._recorder.record_noted()
            self.queue(flag)

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
        logs, flag = self.make(next(batches))
        logs = self.expect(flag, logs)
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
        self._sentinel = guard_step.new_sentinel()

    def _remember(self, state: Callable[[], Any]) -> None:
        self.remember(lambda: _num_bytes(state()), lambda: State.of(state()).map(np.array))

    def _keep_loss(self, logs: Any) -> None:
        if logs["loss"] is not None:
            self._losses.append((self._recorder.num_steps - 1, logs["loss"]))

    def _read_losses(self, until: int | None = None) -> None:
        """Read the losses of the steps before `until`: those whose flags have been read.

        They are kept as numbers. Arrays that are kept for long cut the free memory into parts.
        """
        end = self._recorder.num_judged if until is None else until
        watches = not self._told and not self._plain.skips_bad_updates
        while self._losses and self._losses[0][0] < end:
            step, array = self._losses.popleft()
            loss = np.asarray(array).item()
            self._recorder.losses.keep(step, None, loss)
            if watches and self._bad_loss is None and not math.isfinite(loss):
                self._bad_loss = step

    def bad_loss(self) -> int | None:
        """The first step that was good but for its loss, the first time that this is asked."""
        if self._told or self._bad_loss is None:
            return None
        self._told = True
        return self._bad_loss

    def end_epoch(self) -> None:
        """Read every flag, and every loss."""
        super().end_epoch()
        self._read_losses()

    def make(self, data: object) -> tuple[Any, Flag]:
        """Make one step from the present state on."""
        assert isinstance(data, StepData)
        (logs, first_bad), state = self._inner((*self._state, self._sentinel), data)
        self._state, self._sentinel = tuple(state[:4]), state[4]
        return logs, LateScalar(first_bad)

    def last_good(self, step: int) -> State:
        """The state before the bad step, which no later step has changed."""
        state = State.of(self._state)
        self._read_losses(step)
        self._sentinel = guard_step.new_sentinel()
        self._losses.clear()
        self._plain.kept = state
        return state

    def fails_again(self, state: State, data: object) -> bool:
        """Run the compiled step once more; nothing is donated to it."""
        groups = [list(group) for group in state.groups]
        assert isinstance(data, StepData)
        (_, first_bad), _ = self._inner((*groups, guard_step.new_sentinel()), data)
        return int(first_bad) >= 0

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
        self._inner = self._made()

    def resumed(self) -> None:
        """Nothing: the state is returned to the user's loop."""

    def went_back(self) -> None:
        """Nothing: every step has its flag."""

    def _made(self) -> CompiledStep:
        subject = self._plain
        step = guard_step.guarded(
            subject.train_step,
            subject.step_library,
            may_keep_infinity=subject.may_keep_infinity,
            arrays_read=subject.arrays_read,
            keeps_metrics=self.resumes,
            is_donated=False,
        )
        return subject.compiled_step(step)


def own_batch(data: object) -> object:
    """A batch of a step that no code of the user's can write to."""
    assert isinstance(data, StepData)
    concrete = array_class()
    return data if all([type(array) is concrete for array in data.arrays]) else own(data)


def _num_bytes(state: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(state))
