"""The guarded train function: when its flags are read, and what is done at a bad step.

Inside an epoch of `fit` flags are read late, so that the host does not wait for the device. At the
end of an epoch and outside `fit` they are read at once. A training that may go on after a bad step
has each flag read at once, too, where callbacks or random numbers would run ahead of a step that is
made again. Where the framework says that nothing does, its flags are read late as well: the steps
after a bad one are made again on their batches.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from stayfinite.frameworks.base import OnBad
from stayfinite.frameworks.guarded_training import GuardedTraining, ValuesOfSteps
from stayfinite.frameworks.heavy_steps import HeavySteps
from stayfinite.frameworks.recorder import MAX_PENDING, Flag, KnownFlag, Recorder
from stayfinite.frameworks.state import State
from stayfinite.frameworks.state_log import MIN_CALLS, LoggedCalls, MadeAgain
from stayfinite.frameworks.step_series import StepSeries
from stayfinite.frameworks.steps_again import made_again
from stayfinite.frameworks.subject import Subject


class GuardedTrainFunction(GuardedTraining):
    """Base of the function that takes the place of the train function of a subject.

    A framework calls `enter` before a step and `expect` after it.

    Attributes:
        has_drawn: Whether the data of a step is drawn before `enter`, so that what is drawn from
            then on is drawn by the step.
        resumes: Whether `on_bad` may return, so that the training goes on.
        waits: Whether the flag of each step is read before the next one.
        heavy: What makes the steps of a heavy state, which are checked in windows.
        series: The steps of a window that are not recorded yet.
    """

    has_drawn = False

    def __init__(
        self, subject: Subject, recorder: Recorder, on_bad: OnBad, *, resumes: bool
    ) -> None:
        self.resumes = self.waits = resumes
        self._subject = subject
        self._recorder = recorder
        self._on_bad = on_bad
        self._first_step = recorder.num_steps
        self._epoch_begins = False
        self._first_of_epoch = False
        self._epoch_source: Any = None
        self._in_epoch = False
        self._logs: Any = None
        self._last_logged = recorder.num_steps - 1
        self._own: ValuesOfSteps | None = None
        # Bad steps after which the training went on.
        self._num_handled = 0
        self.heavy: HeavySteps | None = None
        self.series = StepSeries(recorder)
        # Whether no callback of the user is called before the flags of an epoch are read.
        self.is_alone = False

    def begin_training(self, *, sees_steps: bool, is_alone: bool) -> None:
        """A `fit` begins. The last one may have been left by an exception of the user's code."""
        self.settle()
        self._own = None
        self.is_alone = is_alone
        self.waits = self.resumes and (sees_steps or not self._steps_may_be_ahead())
        has_log = self._recorder.state_log is not None
        # Else both copies of the log may be newer than a bad step.
        self._recorder.max_pending = MIN_CALLS // 2 if has_log else MAX_PENDING

    def _steps_may_be_ahead(self) -> bool:
        """Whether steps after a bad one may be made before it is known, and then made again."""
        return False

    def begin_epoch(self) -> None:
        """The next call is the first of an epoch: flags may be read late until `end_epoch`."""
        self._epoch_begins = True

    def read_flags(self) -> None:
        """Read every flag now."""
        self.poll(None, wait=True)

    def end_epoch(self) -> None:
        """End the epoch: read every flag now."""
        self._epoch_begins, self._epoch_source = False, None
        self.read_flags()

    def enter(self, source: Any) -> None:
        """Begin a step. `source` is the same object for all steps of an epoch."""
        self._first_of_epoch = self._epoch_begins
        if self._epoch_begins:
            self._epoch_begins, self._epoch_source = False, source
            self._logs = None
        # After an exception in `fit`, `end_epoch` is not called; the next call has another source.
        self._in_epoch = source is self._epoch_source
        if not self._in_epoch:
            self._epoch_source = None
            self._recorder.begin_epoch(None)
        if self.has_drawn:
            self.note_own(self._recorder.num_steps)

    def note_own(self, step: int) -> None:
        """Note what the step `step` may set beside its variables, once its data are drawn."""
        if not self.is_eager:
            return
        if self._own is None:
            self._own = self.values_of_steps()
        if self._own is not None:
            self._own.begin(step, always=self.resumes)

    def _kept_own(self) -> AbstractContextManager[None]:
        """What a step sets beside its variables is after the block as it was before it."""
        own = self.values_of_steps()
        return contextlib.nullcontext() if own is None else own.kept()

    @property
    def is_eager(self) -> bool:
        """Whether a step runs the user's Python code, not what was compiled of it."""
        return self._subject.compilation.eager

    def remember(self, num_bytes: Callable[[], int], copy: Callable[[], State]) -> None:
        """Keep a copy of the state before the step that begins, if one is due; after `enter`."""
        log = self._recorder.state_log
        if log is not None:
            step = self._recorder.num_steps
            log.begin_call(step, self.written(), self.random_now(), num_bytes, copy)
        self._recorder.snapshots.take(
            self._recorder.num_steps,
            # Outside an epoch the host waits for each step anyway, so a copy adds no wait.
            first_of_epoch=self._first_of_epoch or not self._in_epoch,
            num_bytes=num_bytes,
            copy=copy,
        )

    def expect(self, flag: Flag, logs: Any) -> Any:
        """Queue the flag of the last steps; returns the logs of the last one for Keras.

        Args:
            flag: Counts from the first step of the sentinel.
            logs: What the last step returned.
        """
        self.queue(flag)
        self._keep_loss(logs)
        self._log_call()
        if self.waits or not self._in_epoch or self._recorder.is_borrowing:
            return self.poll(logs, wait=True)
        return logs

    def _log_call(self) -> None:
        """Keep the steps that were made since the last ones were kept."""
        log = self._recorder.state_log
        if log is not None:
            log.end_call(self._recorder.after(self._last_logged))
            self._last_logged = self._recorder.num_steps - 1

    def queue(self, flag: Flag) -> None:
        """Queue the flag of the last steps, which counts from the first step of the sentinel."""
        self._recorder.expect(_Offset(flag, self._first_step))

    def note_unwatched(self, logs: Any) -> None:
        """A step of a heavy state was made: the sentinel, which has not seen it, counts from here.

        Args:
            logs: What the step returned.
        """
        self._first_step = self._recorder.num_steps
        self._log_unwatched()
        self._keep_loss(logs)

    def _log_unwatched(self) -> None:
        if self._recorder.state_log is not None:
            self._recorder.state_log.forget()

    def _keep_loss(self, logs: Any) -> None:
        if isinstance(logs, dict) and "loss" in logs:
            step, epoch = self._recorder.num_steps - 1, self._recorder.epoch
            self._recorder.losses.keep(step, epoch, self.detached(logs["loss"]))

    def poll(self, logs: Any, *, wait: bool) -> Any:
        """Read the flags that are ready; with `wait`, all of them.

        Returns `logs`, or those of the last step that was made again after a bad one.
        """
        self.end_series()
        if self.heavy is not None and (wait or self.heavy.needs_check()):
            self.settle()
        step = self._recorder.first_bad(wait=wait)
        if step is not None:
            return self._handle(step, logs)
        if self.waits and logs is not None:
            self._logs = logs
        return logs

    def settle(self) -> None:
        """Check the steps of a heavy state now, because something is about to see it.

        After a bad step the model has the state before it; `poll` reads the flag.
        """
        self.end_series()
        # A flag without a step would count for those of a later train function of the model.
        if self.heavy is None or not self.heavy.has_unchecked:
            return
        try:
            bad = self.heavy.check()
        except BaseException:
            if not self.heavy.has_window:
                self.went_back()
            raise
        if bad is not None:
            self.went_back()
        self._recorder.expect(KnownFlag(-1 if bad is None else bad))

    def end_series(self) -> None:
        """Record the steps of a series, if one is under way."""
        if self.series and self.heavy is not None:
            self.series.end(self.heavy)
            self._first_step = self._recorder.num_steps

    def _handle(self, step: int, logs: Any) -> Any:
        """Hand the bad step to `on_bad`, and make the steps again that it does not leave out."""
        self.series.read_losses()
        waiting = self._recorder.after(step)
        bad: int | None = step
        left_out = False
        while bad is not None:
            self._first_step = bad + 1
            self._num_handled += 1
            state = self.last_good(bad)
            if self._own is not None:
                self._own.restore_before(bad)
            log = self._recorder.state_log
            if log is not None:
                data = self._recorder.batch_of(bad)
                again = functools.partial(self._made_again, log.until(bad), state, data)
                self._recorder.made_again = again
            try:
                with self._kept_own():
                    way = self._on_bad(state, bad, functools.partial(self.fails_again, state))
            finally:
                self._recorder.made_again = lambda: None
                if log is not None:
                    log.forget()
            if way.state is None or way.is_whole:
                self.set_state(way.state or state)
            else:
                self.set_state(way.state.with_metrics(state.metrics))
                self._subject.reset_metrics()
                self.set_state(self.present())
            if way.then is not None:
                way.then()
                self.set_state(self.present())
            left_out = way.again is None
            waiting = waiting if way.again is None else [way.again, *waiting]
            self._first_step = waiting[0].step if waiting else self._recorder.num_steps
            bad = None
            while waiting and bad is None:
                recorded = waiting.pop(0)
                self._recorder.again(recorded)
                self.note_own(recorded.step)
                made, flag = self.make(recorded.data)
                if int(flag) >= 0:
                    bad = recorded.step
                else:
                    self._logs, left_out = made, False
        self.resumed()
        return self._logs_without_step(logs) if left_out else self._logs

    def _made_again(
        self, logged: LoggedCalls | None, state: State, data: object
    ) -> MadeAgain | None:
        return None if logged is None else made_again(self, logged, state, data)

    def _logs_without_step(self, logs: Any) -> Any:
        """The logs after a step that was left out, of which `logs` are its own.

        Callbacks see those of the step before. Outside `fit` a caller gets what the step returned.
        """
        if not self._in_epoch:
            return logs
        if self._logs is None and self._subject.uses_default_train_step:
            return self._subject.metrics_result()
        return logs if self._logs is None else self._logs


class _Offset:
    """A flag in steps of the whole script, from one in steps since the sentinel was made."""

    def __init__(self, flag: Flag, first_step: int) -> None:
        self._flag = flag
        self._first_step = first_step

    def is_ready(self) -> bool:
        return bool(self._flag.is_ready())

    def __int__(self) -> int:
        bad = int(self._flag)
        return bad if bad < 0 else bad + self._first_step
