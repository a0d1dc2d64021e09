"""Steps of a training on JAX in windows; those of a small state are noted in a series."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Any

import jax

from stayfinite.frameworks import heavy
from stayfinite.frameworks.base import OnBad
from stayfinite.frameworks.heavy_state import HeavyTraining
from stayfinite.frameworks.heavy_steps import HeavySteps
from stayfinite.frameworks.jax.guard_heavy import JaxHeavySteps
from stayfinite.frameworks.jax.host_data import BatchRows, LateScalar
from stayfinite.frameworks.jax.state import store
from stayfinite.frameworks.jax.state_copy import is_on_cpu, is_on_default_device
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.persistence import bad_steps_leave_marks
from stayfinite.frameworks.keras.windows import WindowedTrainFunction, settle_model
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.state import State
from stayfinite.frameworks.subject import Subject, TrainFunction


class JaxWindows(WindowedTrainFunction):
    """The part of a train function that makes steps in windows."""

    # The step of Keras; made with the first window.
    _plain: TrainFunction

    def __init__(
        self, subject: Subject, recorder: Recorder, on_bad: OnBad, *, resumes: bool
    ) -> None:
        super().__init__(subject, recorder, on_bad, resumes=resumes)
        self._may_have_windows = _makes_compiled_steps(subject) and bad_steps_leave_marks(subject)
        # The state before the next step, and after the last one.
        self._state: Any = None
        self._left: Any = ()
        # After which the next step may be noted in a series.
        self._series_state: Any = None
        self._rows = BatchRows((), 0)

    @abc.abstractmethod
    def __call__(self, state: Any, iterator: Iterator[Any]) -> Any:
        """One call of Keras's train function: `(logs, state)`."""

    def went_back(self) -> None:
        """Give the variables the state of `heavy`."""
        assert isinstance(self.heavy, JaxHeavySteps)
        self._state = self.heavy.state
        store(self._subject, State.of(self._state))

    def _first_window(self) -> HeavySteps | None:
        """Decide whether steps are made in windows."""
        state = self._state
        num_bytes, leaves = num_bytes_of(state), jax.tree.leaves(state)
        self._is_light = num_bytes < heavy.MIN_STATE_BYTES
        self._may_have_windows = (
            heavy.has_small_batches(num_bytes, self._recorder.newest.num_bytes)
            and is_on_default_device(leaves)
            # Another device may not compute the same bits again.
            and (not self._is_light or is_on_cpu(leaves))
        )
        if not self._may_have_windows or (self._is_light and not self._may_have_light_window):
            return None
        step = self._subject.train_step

        def train_step(state: Any, data: Any) -> Any:
            # Two methods of one object are equal, so JAX would use what it has traced before the
            # model was compiled again.
            result = step(state, data)
            new.traced(state, result[1], self._state)
            return result

        plain = self._subject.make_train_function(train_step)
        self._subject.train_function = self

        def fails(data: object) -> bool:
            return self.fails_again(State.of(new.state), data)

        self._plain = plain
        in_memory = self._recorder.in_memory
        training = HeavyTraining(self._subject, plain, fails, num_bytes, in_memory)
        new = JaxHeavySteps(training)
        self._may_have_windows = new.begins_finite(state)
        if not self._may_have_windows:
            return None
        keras_private.before_state_sync(settle_model)
        self.heavy = new
        return new

    def _steps_may_be_ahead(self) -> bool:
        """Whether steps draw no random numbers on the host, and all their logs are metrics."""
        subject = self._subject
        if subject.compilation.eager or not subject.compilation.xla:
            return False
        if not (subject.uses_default_train_step and subject.uses_default_metrics):
            return False
        keras_private.before_state_sync(settle_model)
        return True

    def _run_in_window(self, steps: HeavySteps, state: Any, data: object) -> Any:
        assert isinstance(steps, JaxHeavySteps)
        logs, new = steps.run(state, self._recorder.newest, data)
        self._state = self._left = new
        self.note_unwatched(logs)
        if self.waits or not self._in_epoch:
            logs = self.poll(logs, wait=True)
        elif self._is_light:
            self.series.begin(steps, LateScalar, reads_losses=True)
            self._rows = BatchRows(data, self.series.limit)
            self._series_state = new
        return logs, self._state

    def _run_in_series(self, state: Any, iterator: Iterator[Any]) -> Any:
        """Make a step of a small state in the middle of an epoch."""
        # If it fails, no step can be made on `state` again.
        self._series_state = None
        if not self.series.has_room():
            if not self._begin_next_series():
                return self(state, iterator)
            self._rows.begin(self.series.limit)
        data = next(iterator)
        kept = self._rows.own(data)
        logs, new = self._plain(state, iter((data,)))
        self.series.note(kept, logs)
        self._state = self._series_state = new
        return logs, new

    def end_series(self) -> None:
        """Record the steps of a series. The next step is the first of another one."""
        self._series_state = None
        if self.series and isinstance(self.heavy, JaxHeavySteps):
            self.heavy.took(self._state)
            super().end_series()
            self._left = self._state
            self._log_unwatched()


def _makes_compiled_steps(subject: Subject) -> bool:
    """Whether each call of the train function of Keras is one compiled step."""
    compilation = subject.compilation
    return not compilation.eager and bool(compilation.xla) and compilation.steps_per_execution == 1


def num_bytes_of(state: Any) -> int:
    """The size of a state."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(state))
