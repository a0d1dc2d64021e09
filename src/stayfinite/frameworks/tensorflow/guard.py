"""Attach the sentinel to a Keras model on TensorFlow, and stop the training safely.

Keras's own trainer makes the function, so `jit_compile`, `run_eagerly` and the reading of a
`tf.data` iterator inside the compiled function are done by Keras.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.base import OnBad
from stayfinite.frameworks.hand_written import HandWrittenStep
from stayfinite.frameworks.heavy import has_small_batches, is_heavy
from stayfinite.frameworks.heavy_steps import HeavyTraining
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.optimizer_settings import build_slots
from stayfinite.frameworks.keras.persistence import bad_steps_leave_marks
from stayfinite.frameworks.keras.train_function import GuardedTrainFunction
from stayfinite.frameworks.recorder import MAX_COPIED_BYTES, Flag, Recorder
from stayfinite.frameworks.state import State
from stayfinite.frameworks.subject import Subject, state_variables
from stayfinite.frameworks.tensorflow import bounds, private
from stayfinite.frameworks.tensorflow.flagged_series import (
    FlaggedSeries,
    is_changeable,
    kept,
    own,
)
from stayfinite.frameworks.tensorflow.guard_graph import Unsuited, ends_in_update, guarded
from stayfinite.frameworks.tensorflow.guard_heavy import LateLoss, TensorFlowHeavySteps
from stayfinite.frameworks.tensorflow.guard_sentinel import TensorFlowSentinel
from stayfinite.frameworks.tensorflow.repeatable import is_on_cpu, is_repeatable
from stayfinite.frameworks.tensorflow.state import num_bytes_of, state_of, store
from stayfinite.frameworks.tensorflow.step_outputs import StepOutputs
from stayfinite.frameworks.tensorflow.variable_hooks import follow


class TensorFlowTrainFunction(GuardedTrainFunction):
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
        self._unmeasured = 0
        self._bounds_matter = plain and eager
        self._may_be_heavy = (
            not (resumes or eager or self._everything)
            and self._compilation.steps_per_execution == 1
            and bad_steps_leave_marks(subject)
        )
        self._is_checking = False
        # Whether the state is too small to be heavy; known after the first step.
        self._is_light = False
        self._is_repeatable = True
        # Whether the next step may be noted in a series.
        self._is_in_series = False
        self.flagged = FlaggedSeries(recorder)
        self._may_have_flagged = is_loop and not (resumes or eager)
        # The sentinel has not seen the last steps.
        self._is_sentinel_late = False
        self.thread = threading.get_ident()

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
        steps = self._steps_in_windows() if self._may_be_heavy else None
        if steps is not None:
            return self._run_heavy(steps, iterator)
        if self._is_sentinel_late:
            self._sentinel.reset()
            self._unmeasured, self._is_sentinel_late = 0, False
        self._measure()
        if isinstance(iterator, tf.data.Iterator):
            logs, reports = self._from_dataset(iterator)
        else:
            logs, reports = self._from_python(iterator)
        if not reports:
            return logs
        logs = self.expect(_Flag(reports, self._is_bad_unscaled), logs)
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

    def _steps_in_windows(self) -> TensorFlowHeavySteps | None:
        """What makes this step in a window; None if it has the sentinel."""
        if self._is_light and not self._in_epoch:
            # The flag of such a step is read at once, and costs less than a check of the state.
            self._leave_window()
            return None
        steps = self.heavy
        if steps is None:
            return self._first_window()
        assert isinstance(steps, TensorFlowHeavySteps)
        if steps.trusts_loss and not (self._is_light and steps.is_checked_often):
            return steps
        self._leave_window()
        self.heavy, self._may_be_heavy = None, False
        return None

    def _leave_window(self) -> None:
        """The next step has the sentinel."""
        if self.heavy is not None and self.heavy.has_window:
            self.poll(None, wait=True)
            self.heavy.forget()

    def _first_window(self) -> TensorFlowHeavySteps | None:
        """Decide whether steps are made in windows."""
        subject = self._subject
        self._is_light = not is_heavy(num_bytes_of(subject), 0)
        # Another device may not compute the same bits again.
        self._may_be_heavy = not self._is_light or is_on_cpu(subject)
        if not self._may_be_heavy or (self._is_light and not self._in_epoch):
            return None
        build_slots(subject.optimizers[0], subject.trainable_variables)
        num_bytes = num_bytes_of(subject)
        training = HeavyTraining(subject, self._plain(), self._fails_now, num_bytes)
        steps = TensorFlowHeavySteps(training)
        # What a step leaves as it is would count as bad.
        self._may_be_heavy = steps.is_finite()
        if self._may_be_heavy:
            self.heavy = steps
            return steps
        return None

    def _plain(self) -> Any:
        subject, outputs = self._subject, StepOutputs()

        def step(data: Any) -> Any:
            logs = subject.train_step(data)
            if not tf.executing_eagerly():
                graph = tf.compat.v1.get_default_graph()
                self._is_repeatable = self._is_repeatable and is_repeatable(graph.as_graph_def())
            return outputs.joined(logs, data)

        function = private.make_function(self._compilation, step)
        return lambda source: outputs.parted(function(source))

    def _run_heavy(self, steps: TensorFlowHeavySteps, iterator: Any) -> Any:
        source = iterator
        if not isinstance(iterator, tf.data.Iterator):
            source = [next(iterator)]
        is_first = not steps.has_variables
        with self._checking():
            logs, data = steps.run(source)
        if is_first:
            *groups, metrics = state_variables(self._subject)
            follow(self, [variable for group in groups for variable in group], metrics)
        # Tensors, which never change.
        for _ in self._recorder.recording(iter([data])):
            pass
        recorded = self._recorder.newest
        steps.ran(recorded, logs)
        self.note_unwatched(logs)
        self._is_sentinel_late = True
        if is_first or not self._is_light:
            suits = has_small_batches(num_bytes_of(self._subject), recorded.num_bytes)
            self._may_be_heavy = suits and self._is_repeatable
        if not self._may_be_heavy:
            self.settle()
            self.heavy = None
        elif self._is_light and self._in_epoch:
            self.series.begin(steps, LateLoss, reads_losses=False)
            self._is_in_series = True
        elif steps.needs_check():
            # Whatever comes next may see the state.
            self.settle()
        return logs if self._in_epoch else self.poll(logs, wait=True)

    def _run_in_series(self, iterator: Any) -> Any:
        """Make a step of a small state in the middle of an epoch."""
        steps = self.heavy
        self._is_in_series = False
        if (
            not isinstance(steps, TensorFlowHeavySteps)
            or steps.is_written
            or not self.series.has_room()
            or self.thread != threading.get_ident()
        ):
            return self(iterator)
        self._is_checking = True
        try:
            logs, data = steps.run_next(
                iterator if isinstance(iterator, tf.data.Iterator) else [next(iterator)]
            )
        finally:
            self._is_checking = False
        self.series.note(data, logs)
        self._is_in_series = True
        return logs

    def end_series(self) -> None:
        """Record the steps of a series. The next step is the first of another one."""
        self._is_in_series = False
        super().end_series()
        report = self.flagged.end()
        if report is not None:
            self.queue(_Flag([report], self._is_bad_unscaled))

    @contextlib.contextmanager
    def _checking(self) -> Iterator[None]:
        """Inside the block, what is read and written is read and written by the guard."""
        before, self._is_checking = self._is_checking, True
        try:
            yield
        finally:
            self._is_checking = before

    def settle(self) -> None:
        """Check the steps of a heavy state now."""
        if not self._is_checking:
            with self._checking():
                super().settle()

    def reading(self) -> None:
        """Other code is about to read the state."""
        self.settle()

    def writing(self, variable: Any) -> None:
        """Other code is about to assign a variable of the state."""
        if isinstance(self.heavy, TensorFlowHeavySteps) and not self._is_checking:
            if not self.heavy.is_small(variable):
                self.settle()
            self.heavy.writing(variable)

    def training(self, function: object) -> None:
        """Another model is about to train variables of the state, in a compiled step."""
        if isinstance(self.heavy, TensorFlowHeavySteps) and function is not self:
            self.settle()
            self.heavy.replace()

    def begin_training(self) -> None:
        """Begin a window: what compiled code of others has written was not seen."""
        super().begin_training()
        if isinstance(self.heavy, TensorFlowHeavySteps):
            self.heavy.replace()

    def went_back(self) -> None:
        """Nothing: the variables have the state."""

    def _fails_now(self, data: object) -> bool:
        return self.fails_again(state_of(self._subject), data)

    def begin_epoch(self) -> None:
        """Measure the state again, because other code may have set it."""
        super().begin_epoch()
        self._unmeasured = 0

    def last_good(self, step: int) -> State:
        """Begin a new sentinel; the step itself has restored the state."""
        self._sentinel.reset()
        self._unmeasured = 0
        return state_of(self._subject)

    def set_state(self, state: State) -> None:
        """Assign the values of `state`."""
        store(self._subject, state)
        self._unmeasured = 0

    def present(self) -> State:
        """The values of the variables."""
        return state_of(self._subject)

    def make(self, data: object) -> tuple[Any, Flag]:
        """Make one step."""
        self._measure()
        logs, report, _ = self._step([data])
        return logs, _Flag([report], self._is_bad_unscaled)

    def resumed(self) -> None:
        """Nothing: the steps changed the variables themselves."""

    def rebuild(self) -> None:
        """Trace the step again, and every function that it calls."""
        self.settle()
        self.heavy = None
        private.forget_traces()
        self._inner = self._made()

    def _made(self) -> Any:
        step = guarded(
            self._subject,
            self._sentinel,
            everything=self._everything,
            keeps_metrics=self.resumes,
            gives_data=not self._draws_outside,
        )
        return private.make_function(self._compilation, step)

    def _step(self, source: Any) -> Any:
        try:
            return self._inner(source)
        except Unsuited:
            # Raised while the step was traced, before anything was run.
            self._everything = True
            self._inner = self._made()
            return self._inner(source)

    def _from_dataset(self, iterator: Any) -> tuple[Any, list[Any]]:
        if self._draws_outside:
            return self._from_python(_batches(iterator))
        logs, report, data = self._step(iterator)
        for _ in self._recorder.recording(iter([data])):
            pass
        if self._recorder.newest.num_bytes > MAX_COPIED_BYTES:
            # What comes out of a compiled function is copied.
            self._draws_outside = True
            self._inner = self._made()
        return logs, [report]

    def _from_python(self, iterator: Iterator[Any]) -> tuple[Any, list[Any]]:
        batches = self._recorder.recording(iterator, own=own, may_borrow=_is_changeable)
        logs = None
        reports: list[Any] = []
        for data in itertools.islice(batches, self._compilation.steps_per_execution):
            logs, report, _ = self._step([data])
            if report is None:
                self._recorder.drop_newest()
                return logs, []
            reports.append(report)
        if not reports:
            raise StopIteration
        return logs, reports

    def _measure(self) -> None:
        """Find out whether the state is within the limits, unless that is known."""
        self._unmeasured -= 1
        if not self._bounds_matter or self._unmeasured >= 0:
            return
        optimizer: Any = self._subject.optimizers[0]
        if not optimizer.built:
            return
        # Outside of `fit` no epoch says when the state may have been set from outside.
        self._unmeasured = bounds.STEPS // self._subject.compilation.steps_per_execution - 1
        if self._unmeasured < 0:
            return
        variables: list[Any] = self._subject.trainable_variables
        if bounds.is_provable(optimizer, variables):
            self._sentinel.bounded.assign(bounds.is_bounded(optimizer, variables))

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


class _Flag:
    """The first bad step since the sentinel was made, from the reports of its steps.

    Args:
        reports: The reports of one or several steps; see `TensorFlowSentinel.note`.
        is_bad: Asked whether a suspect is bad, with its number.
    """

    def __init__(self, reports: list[Any], is_bad: Callable[[int], bool]) -> None:
        self._reports = reports
        self._is_bad = is_bad

    def is_ready(self) -> bool:
        # TensorFlow does not say whether a tensor of a GPU has been computed.
        return "CPU" in self._reports[-1].device

    def __int__(self) -> int:
        for report in self._reports:
            count, suspect = report.numpy().tolist()
            if count < 0:
                return int(~count)
            if suspect >= 0 and self._is_bad(suspect):
                return int(suspect)
        return -1


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


def _is_changeable(data: Any) -> bool:
    """Whether other code may write to an array of a batch."""
    return any(map(is_changeable, keras.tree.flatten(data)))
