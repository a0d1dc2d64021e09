"""Steps of a training on TensorFlow in windows, and the hooks of its variables.

Other code reads and writes the variables at any time, so the steps are checked before it does
(`variable_hooks.py`). Those of a small state are noted in a series.
"""

from __future__ import annotations

import abc
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from stayfinite.frameworks.base import OnBad
from stayfinite.frameworks.disks import fits_in_memory
from stayfinite.frameworks.heavy import has_small_batches, is_heavy
from stayfinite.frameworks.heavy_state import HeavyTraining
from stayfinite.frameworks.heavy_steps import HeavySteps
from stayfinite.frameworks.keras.optimizer_settings import build_slots
from stayfinite.frameworks.keras.windows import WindowedTrainFunction
from stayfinite.frameworks.recorded_steps import num_bytes_of as num_bytes_of_batch
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.subject import Subject, state_variables
from stayfinite.frameworks.tensorflow import private_functions
from stayfinite.frameworks.tensorflow.drawing_step import DrawingStep
from stayfinite.frameworks.tensorflow.flagged_series import is_changeable, own
from stayfinite.frameworks.tensorflow.guard_heavy import LateLoss, TensorFlowHeavySteps
from stayfinite.frameworks.tensorflow.repeatable import is_on_cpu, is_repeatable
from stayfinite.frameworks.tensorflow.state import num_bytes_of, state_of
from stayfinite.frameworks.tensorflow.tensor_form import TENSORS
from stayfinite.frameworks.tensorflow.variable_hooks import follow


class TensorFlowWindows(WindowedTrainFunction):
    """The part of a train function that makes steps in windows.

    Attributes:
        thread: The thread that makes its steps.
    """

    def __init__(
        self, subject: Subject, recorder: Recorder, on_bad: OnBad, *, resumes: bool
    ) -> None:
        super().__init__(subject, recorder, on_bad, resumes=resumes)
        self._is_checking = False
        self._is_repeatable = True
        # Whether the next step may be noted in a series.
        self._is_in_series = False
        self.thread = threading.get_ident()

    @abc.abstractmethod
    def __call__(self, iterator: Iterator[Any]) -> Any:
        """One call of Keras's train function: the logs of its last step."""

    def _first_window(self) -> TensorFlowHeavySteps | None:
        """Decide whether steps are made in windows."""
        subject = self._subject
        self._is_light = not is_heavy(num_bytes_of(subject), 0)
        # Another device may not compute the same bits again.
        self._may_have_windows = not self._is_light or is_on_cpu(subject)
        if not self._may_have_windows or (self._is_light and not self._in_epoch):
            return None
        build_slots(subject.optimizers[0], subject.trainable_variables)
        num_bytes = num_bytes_of(subject)
        in_memory = self._recorder.in_memory
        training = HeavyTraining(subject, self._plain(), self._fails_now, num_bytes, in_memory)
        steps = TensorFlowHeavySteps(training)
        # What a step leaves as it is would count as bad.
        self._may_have_windows = steps.is_finite()
        if self._may_have_windows:
            self.heavy = steps
            return steps
        return None

    def _plain(self) -> Any:
        subject = self._subject

        def step(data: Any) -> Any:
            logs = subject.train_step(data)
            if not tf.executing_eagerly():
                graph = tf.compat.v1.get_default_graph()
                self._is_repeatable = self._is_repeatable and is_repeatable(graph.as_graph_def())
                if isinstance(self.heavy, TensorFlowHeavySteps):
                    self.heavy.traced(private_functions.written_variables(graph))
            return logs

        return DrawingStep(subject.compilation, step)

    def _run_in_window(self, steps: HeavySteps, iterator: Any) -> Any:
        assert isinstance(steps, TensorFlowHeavySteps)
        is_first = not steps.has_variables
        source = _source(iterator)
        with self._checking():
            logs, data = steps.run(source)
        if is_first:
            *groups, metrics = state_variables(self._subject)
            follow(self, [variable for group in groups for variable in group], metrics)
        # Nothing else can write to it.
        for _ in self._recording(iter([data]), may_be_kept=steps.num_bytes):
            pass
        recorded = self._recorder.newest
        steps.ran(recorded, logs)
        self.note_unwatched(logs)
        if is_first or not self._is_light:
            suits = has_small_batches(steps.num_bytes, recorded.num_bytes)
            self._may_have_windows = suits and self._is_repeatable
        if not self._may_have_windows:
            self.settle()
            self.heavy = None
        elif self._is_light and self._in_epoch:
            self.series.begin(steps, LateLoss, reads_losses=False)
            self._is_in_series = True
        elif steps.needs_check():
            # Whatever comes next may see the state.
            self.settle()
        return logs if self._in_epoch else self.poll(logs, wait=True)

    def _recording(self, iterator: Iterator[Any], may_be_kept: int = 0) -> Iterator[Any]:
        """`iterator`, with a note of each batch.

        Args:
            iterator: The batches.
            may_be_kept: The size of the state, if batches that suit it are those of a window.
        """

        def may_borrow(data: Any) -> bool:
            if may_be_kept and has_small_batches(may_be_kept, num_bytes_of_batch(data)):
                return False
            if any(map(is_changeable, keras.tree.flatten(data))):
                return True
            # To read the flag at once takes no time on a CPU, and a large batch is not held.
            is_released = not self.resumes and is_on_cpu(self._subject)
            return is_released and not fits_in_memory(num_bytes_of_batch(data), is_on_host=True)

        return self._recorder.recording(iterator, own=own, may_borrow=may_borrow, form=TENSORS)

    def _run_in_series(self, iterator: Any) -> Any:
        """Make a step of a small state in the middle of an epoch."""
        steps = self.heavy
        self._is_in_series = False
        if (
            not isinstance(steps, TensorFlowHeavySteps)
            or steps.is_written
            or self.thread != threading.get_ident()
            or not (self.series.has_room() or self._begin_next_series())
        ):
            return self(iterator)
        self._is_checking = True
        try:
            logs, data = steps.run_next(_source(iterator))
        finally:
            self._is_checking = False
        self.series.note(data, logs)
        self._is_in_series = True
        return logs

    def end_series(self) -> None:
        """Record the steps of a series. The next step is the first of another one."""
        self._is_in_series = False
        super().end_series()

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

    def begin_training(self, *, sees_steps: bool, is_alone: bool) -> None:
        """Begin a window, unless no code has written to the state, compiled code neither."""
        if isinstance(self.heavy, TensorFlowHeavySteps):
            # Before what is left unchecked is checked, as code may have written to it since.
            self.heavy.replace_if_changed()
        super().begin_training(sees_steps=sees_steps, is_alone=is_alone)

    def went_back(self) -> None:
        """Nothing: the variables have the state."""

    def _fails_now(self, data: object) -> bool:
        return self.fails_again(state_of(self._subject), data)


def _source(iterator: Iterator[Any]) -> Any:
    """What `DrawingStep` takes. Its batch is safe from being written to later."""
    return iterator if isinstance(iterator, tf.data.Iterator) else [own(next(iterator))]
