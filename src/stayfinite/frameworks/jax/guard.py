"""Putting the sentinel into a Keras model on JAX, and stopping it safely.

Keras's own `make_train_function` does the compiling: it is run once with `guarded_step` standing
in for `train_step`, so donation, `steps_per_execution` and `run_eagerly` stay Keras's business.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.jax import guard_step
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.train_function import OnBad, Polling
from stayfinite.frameworks.recorder import Recorder


class GuardedTrainFunction(Polling):
    """Stands in for `model.train_function`: the same call, with the sentinel inside.

    `on_bad(state, step, rerun)` is called, with the model's variables already set to the last
    good state, as soon as the host knows that a step was bad; it is expected to raise.
    """

    def __init__(self, inner: Any, model: Any, recorder: Recorder, on_bad: OnBad) -> None:
        super().__init__(model, recorder, on_bad)
        self._inner = inner
        self._sentinel = guard_step.new_sentinel()
        self._state: Any = None

    def __call__(self, state: Any, iterator: Iterator[Any]) -> Any:
        """One call of Keras's train function: `(logs, state)`."""
        self.enter(iterator)
        self._state = state
        self.poll(wait=False)
        self.remember(lambda: _num_bytes(state), lambda: jax.tree.map(np.array, tuple(state[:4])))
        batches = self._recorder.recording(iterator, own=_own)
        (logs, first_bad), state = self._inner((*state, self._sentinel), batches)
        self._state, self._sentinel = tuple(state[:4]), state[4]
        self.expect(_Report(first_bad))
        return logs, self._state

    def stop(self, step: int) -> None:
        """See `Polling.stop`."""
        state = self._state
        self._sentinel = guard_step.new_sentinel()
        store(self._model(), state)
        self._on_bad(state, step, lambda data: self._rerun(state, data))

    def _rerun(self, state: Any, data: Any) -> bool:
        copies = jax.tree.map(jax.numpy.array, state)
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


def attach(model: Any, recorder: Recorder, on_bad: OnBad) -> GuardedTrainFunction:
    """Compile `model`'s train function with the sentinel inside.

    Raises:
        CannotGuardError: under a `keras.distribution`, whose state has a fixed sharding.
    """
    present = model.__dict__.get("train_function")
    if isinstance(present, GuardedTrainFunction):
        return present
    if _is_distributed():
        raise CannotGuardError("stayfinite cannot guard a model under keras.distribution yet")
    overridden = model.__dict__.get("train_step")
    model.__dict__["train_step"] = guard_step.guarded(
        model.train_step, functools.partial(keras_private.loss_scales, model)
    )
    try:
        type(model).make_train_function(model, force=True)
    finally:
        del model.__dict__["train_step"]
        if overridden is not None:
            model.__dict__["train_step"] = overridden
    function = GuardedTrainFunction(model.train_function, model, recorder, on_bad)
    model.train_function = function
    return function


def store(model: Any, state: Any) -> None:
    """Make `state` the values of the model's variables, also in the middle of `fit`."""
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    for variables, values in zip(groups, state, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    # `fit` writes its own idea of the state back when it is left, unless told that it has.
    model._jax_state_synced = True


def _own(data: Any) -> Any:
    """A copy of a batch on the host: a loader may fill the same buffer again, and JAX shares it.

    A batch in the memory of another device is the device's own already.
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
