"""Attach the sentinel to a Keras model on JAX, and stop the training safely.

Keras's own `make_train_function` does the compiling: it is run once with `guarded_step` in
place of `train_step`, so Keras handles donation, `steps_per_execution` and `run_eagerly`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.base import OnBad
from stayfinite.frameworks.heavy import has_small_batches
from stayfinite.frameworks.heavy_state import Writes
from stayfinite.frameworks.jax import guard_step
from stayfinite.frameworks.jax.guard_windows import JaxWindows, num_bytes_of
from stayfinite.frameworks.jax.host_data import LateScalar, is_changeable, own
from stayfinite.frameworks.jax.keras_library import KERAS
from stayfinite.frameworks.jax.state import state_variables, store, written_since
from stayfinite.frameworks.keras import loss_scales
from stayfinite.frameworks.keras.private_epochs import is_over_arrays
from stayfinite.frameworks.keras.roles import may_keep_infinity
from stayfinite.frameworks.recorded_steps import num_bytes_of as num_bytes_of_batch
from stayfinite.frameworks.recorder import Flag, Recorder
from stayfinite.frameworks.state import State
from stayfinite.frameworks.subject import Subject, TrainFunction, TrainStep


class JaxTrainFunction(JaxWindows):
    """The train function of a subject on JAX: the same call, with the sentinel inside."""

    def __init__(
        self, subject: Subject, recorder: Recorder, on_bad: OnBad, *, resumes: bool
    ) -> None:
        super().__init__(subject, recorder, on_bad, resumes=resumes)
        self._inner = self._made()
        # None once a step was made without it: it counts its steps.
        self._sentinel: guard_step.Sentinel | None = guard_step.new_sentinel()

    def note_unwatched(self, logs: Any) -> None:
        """A step was made in a window, which the sentinel has not seen."""
        super().note_unwatched(logs)
        self._sentinel = None

    def __call__(self, state: Any, iterator: Iterator[Any]) -> Any:
        """One call of Keras's train function: `(logs, state)`."""
        if state is self._series_state and iterator is self._epoch_source:
            return self._run_in_series(state, iterator)
        self.end_series()
        self.enter(iterator)
        self._state = state
        self.poll(None, wait=False)
        if self._state is not state:  # after a bad step that was left out, or made again
            state = self._state
            self._subject.stored_state_is_given_away()
        self.remember(lambda: num_bytes_of(state), lambda: State.of(state[:4]).map(np.array))
        batches = self._recorder.recording(
            iterator, own=own, may_borrow=self._may_borrow, is_lent=self._is_lent(iterator)
        )
        if self._may_have_windows:
            data = next(batches)
            steps = self._steps_in_windows()
            if steps is not None:
                return self._run_in_window(steps, state, data)
            batches = iter([data])
        if self._sentinel is None:
            self._sentinel = guard_step.new_sentinel()
        if self.is_eager:
            batches = self._noted(batches)
        (logs, first_bad), state = self._inner((*state, self._sentinel), batches)
        self._state, self._sentinel = tuple(state[:4]), state[4]
        logs = self.expect(LateScalar(first_bad), logs)
        self._left = self._state
        return logs, self._state

    def _noted(self, batches: Iterator[Any]) -> Iterator[Any]:
        """`batches`, with a note of what the step may set as soon as it has drawn one."""
        for data in batches:
            self.note_own(self._recorder.num_steps - 1)
            yield data

    def _may_borrow(self, data: Any) -> bool:
        # The batches of a window are kept for longer than a step.
        if self._may_have_windows and (
            self.heavy is not None
            or has_small_batches(num_bytes_of(self._state), num_bytes_of_batch(data))
        ):
            return False
        return is_changeable(data)

    def _is_lent(self, iterator: Iterator[Any]) -> bool:
        """Whether no code of the user runs until the end of the epoch, or draws its batches."""
        is_alone = self._in_epoch and self.is_alone and not self.is_eager
        return is_alone and is_over_arrays(iterator)

    def written(self) -> Writes | None:
        """The arrays that are not those of the last step."""
        return written_since(self._left, self._state)

    def copied(self) -> State:
        """A copy of the state for the next step."""
        return State.of(self._state[:4]).map(np.array)

    def begin_sentinel(self) -> None:
        """Begin a new sentinel."""
        self._sentinel = guard_step.new_sentinel()

    def last_good(self, step: int) -> State:
        """Store the state before the bad step, which no later step has changed."""
        state = State.of(self._state)
        if any(leaf.is_deleted() for leaf in jax.tree.leaves(self._state)):
            # An evaluation has taken the arrays over, and given the variables others.
            state = self.present()
        self._sentinel = guard_step.new_sentinel()
        store(self._subject, state)
        return state

    def set_state(self, state: State) -> None:
        """Store `state`, and take it for the next step."""
        own = state.map(lambda v: jax.numpy.array(v) if isinstance(v, np.ndarray) else v)
        self._state = tuple(list(group) for group in own.groups)
        store(self._subject, own)

    def present(self) -> State:
        """The values of the variables."""
        groups = state_variables(self._subject)
        return State.of([[variable.value for variable in group] for group in groups])

    def make(self, data: object) -> tuple[Any, Flag]:
        """Make one step; its state is stored by `resumed`."""
        (logs, first_bad), state = self._inner((*self._state, self._sentinel), iter([data]))
        self._state, self._sentinel = tuple(state[:4]), state[4]
        return logs, LateScalar(first_bad)

    def resumed(self) -> None:
        """Store the state. The steps used up the arrays that the variables held."""
        store(self._subject, State.of(self._state))

    def rebuild(self) -> None:
        """Trace the step again, and every function that it calls."""
        self.settle()
        self.heavy = None
        # A function that the user has jitted keeps what it traced before.
        jax.clear_caches()
        self._inner = self._made()
        self._subject.train_function = self

    def _made(self) -> TrainFunction:
        subject = self._subject
        step = guard_step.guarded(
            subject.train_step,
            KERAS,
            lambda: loss_scales.positions(subject.optimizers),
            lambda: may_keep_infinity(subject),
            keeps_metrics=self.resumes,
        )
        return subject.make_train_function(step)

    def fails_again(self, state: State, data: object) -> bool:
        """Run the compiled step on copies."""
        return self._is_bad(state.groups, data)

    def _is_bad(self, groups: Any, data: object) -> bool:
        copies = [[jax.numpy.array(value) for value in group] for group in groups]
        (_, first_bad), _ = self._inner((*copies, guard_step.new_sentinel()), iter([data]))
        return int(first_bad) >= 0


def attach(
    subject: Subject, recorder: Recorder, on_bad: OnBad, *, resumes: bool = False
) -> JaxTrainFunction:
    """Compile the train function of `subject` with the sentinel inside.

    Raises:
        CannotGuardError: under a `keras.distribution`, whose state has a fixed sharding.
    """
    present = subject.train_function
    if isinstance(present, JaxTrainFunction) and present.resumes == resumes:
        return present
    if _is_distributed():
        raise CannotGuardError("stayfinite cannot guard a model under keras.distribution yet")
    function = JaxTrainFunction(subject, recorder, on_bad, resumes=resumes)
    subject.train_function = function
    return function


def uncompiled(step: TrainStep) -> TrainStep:
    """The function inside `jax.jit`: what it has traced before does not have the sentinel."""
    return inspect.unwrap(step) if hasattr(step, "lower") else step


def compiled(step: TrainStep) -> TrainFunction:
    """A train function that draws one batch and makes `step`, compiled by JAX."""
    function = jax.jit(step)

    def train_function(state: Any, batches: Iterator[Any]) -> Any:
        return function(state, next(batches))

    return train_function


def _is_distributed() -> bool:
    import keras

    return keras.distribution.distribution() is not None
