"""Attach the sentinel to a Keras model on TensorFlow, and stop the training safely.

Keras's own trainer makes the function, so `jit_compile`, `run_eagerly` and the reading of a
`tf.data` iterator inside the compiled function are done by Keras.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.base import OnBad
from stayfinite.frameworks.hand_written import HandWrittenStep
from stayfinite.frameworks.heavy_state import MAX_WRITTEN_BYTES, Writes
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.optimizer_settings import build_slots
from stayfinite.frameworks.keras.persistence import bad_steps_leave_marks
from stayfinite.frameworks.recorder import Flag, Recorder
from stayfinite.frameworks.state import State
from stayfinite.frameworks.subject import Subject, state_variables
from stayfinite.frameworks.tensorflow import private, private_functions
from stayfinite.frameworks.tensorflow.drawing_step import DrawingStep, drawn_from
from stayfinite.frameworks.tensorflow.flagged_series import FlaggedSeries, kept
from stayfinite.frameworks.tensorflow.guard_graph import Unsuited, ends_in_update, guarded
from stayfinite.frameworks.tensorflow.guard_sentinel import SentinelFlag, TensorFlowSentinel
from stayfinite.frameworks.tensorflow.guard_windows import TensorFlowWindows
from stayfinite.frameworks.tensorflow.measured_state import MeasuredState
from stayfinite.frameworks.tensorflow.state import num_bytes_of, numpy_of, state_of, store
from stayfinite.frameworks.tensorflow.variable_hooks import follow


class TensorFlowTrainFunction(TensorFlowWindows):
    """The train function of a subject on TensorFlow: the same call, with the sentinel inside.

    Attributes:
        flagged: The steps of a hand-written loop that are not recorded yet.
    """

    def __init__(
        self, subject: Subject, recorder: Recorder, on_bad: OnBad, *, resumes: bool
    ) -> None:
        super().__init__(subject, recorder, on_bad, resumes=resumes)
        self._sentinel = TensorFlowSentinel()
        self._compilation = subject.compilation
        eager = self._compilation.eager
        # A graph does not show what an eager step writes, and a trace that is ended early
        # would leave new variables without values.
        plain = ends_in_update(subject)
        self._everything = not subject.is_built or (not plain and eager)
        # At the end of the data, a step that draws its own batch still makes what does not depend
        # on it: it counts, and moves the random seeds. Several steps a call draw theirs outside,
        # and that of a hand-written step is what the user's loop has drawn.
        is_loop = isinstance(subject, HandWrittenStep)
        self._draws_outside = is_loop or self._compilation.steps_per_execution > 1
        self._inner = self._made()
        self._measured = MeasuredState(subject, self._sentinel.bounded, matters=plain and eager)
        self._may_have_windows = (
            not (resumes or eager or self._everything)
            and self._compilation.steps_per_execution == 1
            and bad_steps_leave_marks(subject)
        )
        self.flagged = FlaggedSeries(recorder)
        self._may_have_flagged = is_loop and not (resumes or eager)
        # Ids: of the variables that are followed, and of those that were assigned since a step.
        self._followed: list[int] = []
        self._assigned: set[int] = set()
        # Whether the last step has made no other variables: then no later one of the epoch does.
        self._follows_all = False
        # The sentinel has not seen the last steps.
        self._is_sentinel_late = False

    def __call__(self, iterator: Iterator[Any]) -> Any:
        """One call of Keras's train function: the logs of its last step."""
        if self._is_in_series and iterator is self._epoch_source:
            return self._run_in_series(iterator)
        if self.flagged.is_open:
            return self._run_flagged(iterator)
        self.end_series()
        self.thread = threading.get_ident()
        self.enter(iterator)
        self.poll(None, wait=False)
        subject = self._subject
        if subject.is_built:
            self.remember(lambda: num_bytes_of(subject), lambda: _whole_state(subject))
        steps = self._steps_in_windows() if self._may_have_windows else None
        if steps is not None:
            return self._run_in_window(steps, iterator)
        if self._is_sentinel_late:
            self._sentinel.reset()
            self._measured.forget()
            self._is_sentinel_late = False
        self._measured.begin_step()
        if isinstance(iterator, tf.data.Iterator):
            logs, reports = self._from_dataset(iterator)
        else:
            logs, reports = self._from_python(iterator)
        if not reports:
            return logs
        logs = self.expect(SentinelFlag(reports, self._is_bad_unscaled), logs)
        self._assigned.clear()
        if self._may_have_flagged and not self._recorder.is_borrowing:
            self.flagged.begin(reports[-1])
        return logs

    def _run_flagged(self, iterator: Iterator[Any]) -> Any:
        """Make a step of a hand-written loop on the state that a good one left."""
        data = next(iterator)
        safe = kept(data) if self.flagged.was_good() else None
        if safe is None:
            self.end_series()
            return self(iter([data]))
        logs, report, _ = self._step([data])
        if report is not None:
            self.note_flagged(safe, report, logs)
        return logs

    def note_flagged(self, data: Any, report: Any, logs: Any) -> None:
        """A step of `flagged` has been made on `data`, which nothing else can write to."""
        self.flagged.note(data, report)
        self._keep_loss(logs)

    def end_series(self) -> None:
        """Record the steps of a series. The next step is the first of another one."""
        super().end_series()
        report = self.flagged.end()
        if report is not None:
            self.queue(SentinelFlag([report], self._is_bad_unscaled))

    def note_unwatched(self, logs: Any) -> None:
        """A step was made in a window: the sentinel, which has not seen it, counts from here."""
        super().note_unwatched(logs)
        self._is_sentinel_late = True

    def begin_epoch(self) -> None:
        """Measure the state again, because other code may have set it."""
        super().begin_epoch()
        self._measured.forget()

    def last_good(self, step: int) -> State:
        """Begin a new sentinel; the step itself has restored the state."""
        self._sentinel.reset()
        self._measured.forget()
        return state_of(self._subject)

    def set_state(self, state: State) -> None:
        """Assign the values of `state`."""
        store(self._subject, state)
        self._measured.forget()

    def present(self) -> State:
        """The values of the variables."""
        return state_of(self._subject)

    def written(self) -> Writes | None:
        """The variables that were assigned since the last step."""
        assigned, self._assigned = self._assigned, set()
        if self._follows_all and not assigned and self._in_epoch and not self._first_of_epoch:
            return {}
        variables = [v for group in state_variables(self._subject) for v in group]
        self._follows_all = self._followed == (ids := list(map(id, variables)))
        if not self._follows_all:
            self._followed = ids
            follow(self, [], variables)
            return None
        changed = {at: private.raw(v) for at, v in enumerate(variables) if id(v) in assigned}
        num_bytes = sum([v.shape.num_elements() * v.dtype.size for v in changed.values()])
        if num_bytes > MAX_WRITTEN_BYTES:
            return None
        return {position: np.array(numpy_of(v.read_value())) for position, v in changed.items()}

    def writing(self, variable: Any) -> None:
        """Other code, or an eager step, is about to assign a variable of the state."""
        super().writing(variable)
        if self._recorder.state_log is not None:
            self._assigned.add(id(variable))

    def copied(self) -> State:
        """A copy of the present state."""
        return state_of(self._subject)

    def on_host(self, value: object) -> np.ndarray:
        """A value of such a copy as an array."""
        return numpy_of(value)

    def begin_sentinel(self) -> None:
        """Count the steps from 0."""
        self._sentinel.reset()
        self._measured.forget()

    def make(self, data: object) -> tuple[Any, Flag]:
        """Make one step."""
        self._measured.begin_step()
        logs, report, _ = self._step([data])
        return logs, SentinelFlag([report], self._is_bad_unscaled)

    def resumed(self) -> None:
        """Nothing: the steps changed the variables themselves."""

    def rebuild(self) -> None:
        """Trace the step again, and every function that it calls."""
        self.settle()
        self.heavy = None
        private_functions.forget_traces()
        self._make_anew()

    def _make_anew(self) -> None:
        before, self._inner = self._inner, self._made()
        if isinstance(before, DrawingStep):
            self._inner.form = before.form

    def _made(self) -> Any:
        step = guarded(
            self._subject,
            self._sentinel,
            everything=self._everything,
            keeps_metrics=self.resumes,
        )
        return DrawingStep(self._compilation, step)

    def _step(self, source: Any) -> tuple[Any, Any, Any]:
        """Logs, report and batch of a step."""
        try:
            made, data = self._inner(source)
        except Unsuited:
            # Raised while the step was traced, before anything was run.
            self._everything = True
            self._make_anew()
            made, data = self._inner(source)
        return made["logs"], made["report"], data

    def _from_dataset(self, iterator: Any) -> tuple[Any, list[Any]]:
        if self._draws_outside:
            self._inner.form = iterator.element_spec
            return self._from_python(_batches(iterator))
        source = iterator
        if self.is_eager:
            source = [drawn_from(iterator)]
            self.note_own(self._recorder.num_steps)
        logs, report, data = self._step(source)
        for _ in self._recording(iter([data])):
            pass
        return logs, [report]

    def _from_python(self, iterator: Iterator[Any]) -> tuple[Any, list[Any]]:
        batches = self._recording(iterator)
        logs = None
        reports: list[Any] = []
        for data in itertools.islice(batches, self._compilation.steps_per_execution):
            self.note_own(self._recorder.num_steps - 1)
            logs, report, _ = self._step([data])
            if report is None:
                self._recorder.drop_newest()
                return logs, []
            reports.append(report)
        if not reports:
            raise StopIteration
        return logs, reports

    def fails_again(self, state: State, data: object) -> bool:
        """Run the compiled step, and put everything back that it changed."""
        count, suspect = self._step([data])[1].numpy()
        store(self._subject, state)
        self._sentinel.reset()
        return bool(count < 0 or suspect >= 0)

    def _is_bad_unscaled(self, step: int) -> bool:
        """Whether a step that a loss scale skipped is bad without the scale, too.

        The step is made once more, and everything that it changed is put back.
        """
        data = self._recorder.batch_of(self._first_step + step)
        state = state_of(self._subject)
        count = self._sentinel.count.read_value()
        self._sentinel.reset()
        for optimizer in self._subject.optimizers:
            if isinstance(optimizer, keras_private.LossScaleOptimizer):
                optimizer.dynamic_scale.assign(1.0)
        bad = self.fails_again(state, data)
        self._sentinel.count.assign(count)
        return bad


def attach(
    subject: Subject, recorder: Recorder, on_bad: OnBad, *, resumes: bool = False
) -> TensorFlowTrainFunction:
    """Make the train function of `subject` with the sentinel inside.

    Raises:
        CannotGuardError: under a `tf.distribute` strategy with more than one replica.
    """
    present = subject.train_function
    if isinstance(present, TensorFlowTrainFunction) and present.resumes == resumes:
        return present
    if private.strategy_of(subject.compilation).num_replicas_in_sync > 1:
        raise CannotGuardError(
            "stayfinite cannot guard a model on several tf.distribute replicas yet"
        )
    function = TensorFlowTrainFunction(subject, recorder, on_bad, resumes=resumes)
    subject.train_function = function
    return function


def _whole_state(subject: Subject) -> State:
    """The state with the slots of the optimizer, which Keras is about to make otherwise."""
    if ends_in_update(subject):
        build_slots(subject.optimizers[0], subject.trainable_variables)
    return state_of(subject)


def _batches(iterator: Any) -> Iterator[Any]:
    while True:
        batch = iterator.get_next_as_optional()
        if not batch.has_value():
            return
        yield batch.get_value()
