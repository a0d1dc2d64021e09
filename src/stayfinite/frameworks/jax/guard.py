"""Attach the sentinel to a Keras model on JAX, and stop the training safely.

Keras's own `make_train_function` does the compiling: it is run once with `guarded_step` in
place of `train_step`, so Keras handles donation, `steps_per_execution` and `run_eagerly`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.base import OnBad
from stayfinite.frameworks.jax import guard_step
from stayfinite.frameworks.jax.state import store
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.train_function import GuardedTrainFunction
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.state import State
from stayfinite.frameworks.subject import Subject, TrainFunction, TrainStep


class JaxTrainFunction(GuardedTrainFunction):
    """The train function of a subject on JAX: the same call, with the sentinel inside."""

    def __init__(
        self, inner: TrainFunction, subject: Subject, recorder: Recorder, on_bad: OnBad
    ) -> None:
        super().__init__(subject, recorder, on_bad)
        self._inner = inner
        self._sentinel = guard_step.new_sentinel()
        self._state: Any = None

    def __call__(self, state: Any, iterator: Iterator[Any]) -> Any:
        """One call of Keras's train function: `(logs, state)`."""
        self.enter(iterator)
        self._state = state
        self.poll(wait=False)
        self.remember(lambda: _num_bytes(state), lambda: State.of(state[:4]).map(np.array))
        batches = self._recorder.recording(iterator, own=_own)
        (logs, first_bad), state = self._inner((*state, self._sentinel), batches)
        self._state, self._sentinel = tuple(state[:4]), state[4]
        self.expect(_Report(first_bad))
        return logs, self._state

    def stop(self, step: int) -> None:
        """Store the last good state and call `on_bad`."""
        state = State.of(self._state)
        self._sentinel = guard_step.new_sentinel()
        store(self._subject, state)
        self._on_bad(state, step, lambda data: self._rerun(state, data))

    def _rerun(self, state: State, data: object) -> bool:
        copies = [[jax.numpy.array(value) for value in group] for group in state.groups]
        (_, first_bad), _ = self._inner((*copies, guard_step.new_sentinel()), iter([data]))
        return int(first_bad) >= 0


class _Report:
    """The report of a step as a `Flag`. Read by NumPy, which is faster than `int` of an array."""

    __slots__ = ("_array", "is_ready")

    def __init__(self, array: jax.Array) -> None:
        self._array = array
        self.is_ready = array.is_ready

    def __int__(self) -> int:
        return int(np.asarray(self._array))


def attach(subject: Subject, recorder: Recorder, on_bad: OnBad) -> JaxTrainFunction:
    """Compile the train function of `subject` with the sentinel inside.

    Raises:
        CannotGuardError: under a `keras.distribution`, whose state has a fixed sharding.
    """
    present = subject.train_function
    if isinstance(present, JaxTrainFunction):
        return present
    if _is_distributed():
        raise CannotGuardError("stayfinite cannot guard a model under keras.distribution yet")

    def loss_scales() -> list[int]:
        return keras_private.loss_scales(subject.optimizers)

    def own_statistics() -> list[int]:
        return keras_private.own_statistics(subject)

    guarded = guard_step.guarded(subject.train_step, loss_scales, own_statistics)
    inner = subject.make_train_function(guarded)
    function = JaxTrainFunction(inner, subject, recorder, on_bad)
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


def _own(data: Any) -> Any:
    """A copy of a batch on the host: a loader may fill the same buffer again, and JAX shares it.

    A batch on another device is not shared with the host.
    """

    # The forms that `fit` itself gives are taken apart here, because `jax.tree.map` is slow.
    if type(data) is tuple:
        return tuple([_own(item) for item in data])
    if type(data) is np.ndarray:
        return data.copy()
    if data is None:
        return None
    return jax.tree.map(lambda leaf: np.array(leaf) if _on_host(leaf) else leaf, data)


def _num_bytes(state: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(state))


def _on_host(leaf: Any) -> bool:
    return not isinstance(leaf, jax.Array) or leaf.devices() == _host()


@functools.cache
def _host() -> set[Any]:
    return set(jax.devices("cpu")[:1])


def _is_distributed() -> bool:
    import keras

    return keras.distribution.distribution() is not None
