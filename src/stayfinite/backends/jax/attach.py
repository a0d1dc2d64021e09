"""Putting the sentinel into a Keras model on JAX, and stopping it safely.

Keras's own `make_train_function` does the compiling: it is run once with `guarded_step` standing
in for `train_step`, so donation, `steps_per_execution` and `run_eagerly` stay Keras's business.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from stayfinite.backends.jax import sentinel
from stayfinite.errors import UsageError
from stayfinite.guard.recorder import Recorder

OnBad = Callable[[Any, int, Callable[[Any], bool]], None]


class GuardedTrainFunction:
    """Stands in for `model.train_function`: the same call, with the sentinel inside.

    `on_bad(state, step, rerun)` is called, with the model's variables already set to the last
    good state, as soon as the host knows that a step was bad; it is expected to raise.
    """

    def __init__(self, inner: Any, model: Any, recorder: Recorder, on_bad: OnBad) -> None:
        self._inner = inner
        self._model = weakref.ref(model)
        self._recorder = recorder
        self._on_bad = on_bad
        self._sentinel = sentinel.new_sentinel()
        self._first_step = recorder.num_steps
        self._state: Any = None
        self._epoch_begins = False
        self._epoch_data: Any = None

    def __call__(self, state: Any, iterator: Iterator[Any]) -> Any:
        """One call of Keras's train function: `(logs, state)`."""
        if self._epoch_begins:
            self._epoch_begins, self._epoch_data = False, iterator
        # A `fit` that an exception ended says nothing; the next call then has other data.
        in_epoch = iterator is self._epoch_data
        if not in_epoch:
            self._epoch_data = None
            self._recorder.begin_epoch(None)
        self._state = state
        self.poll(wait=False)
        batches = self._recorder.recording(iterator, own=_own)
        (logs, first_bad), state = self._inner((*state, self._sentinel), batches)
        self._state, self._sentinel = tuple(state[:4]), state[4]
        self._recorder.expect(_Offset(first_bad, self._first_step))
        if not in_epoch:
            self.poll(wait=True)
        return logs, self._state

    def begin_epoch(self) -> None:
        """The next call is the first of an epoch: flags may be read late until `end_epoch`."""
        self._epoch_begins = True

    def end_epoch(self) -> None:
        """Nothing more comes from the data of the epoch, and every flag is to be read now."""
        self._epoch_begins, self._epoch_data = False, None
        self.poll(wait=True)

    def poll(self, *, wait: bool) -> None:
        """Look at the flags that have come in; with `wait`, at all of them."""
        step = self._recorder.first_bad(wait=wait)
        if step is None:
            return
        state = self._state
        self._sentinel = sentinel.new_sentinel()
        self._first_step = step + 1
        store(self._model(), state)
        self._on_bad(state, step, lambda data: self._rerun(state, data))

    def _rerun(self, state: Any, data: Any) -> bool:
        copies = jax.tree.map(jax.numpy.array, state)
        (_, first_bad), _ = self._inner((*copies, sentinel.new_sentinel()), iter([data]))
        return int(first_bad) >= 0


class _Offset:
    """A flag in steps of the whole script, from one in steps since the sentinel was made."""

    def __init__(self, flag: Any, first_step: int) -> None:
        self._flag = flag
        self._first_step = first_step

    def is_ready(self) -> bool:
        return bool(self._flag.is_ready())

    def __int__(self) -> int:
        bad = int(self._flag)
        return bad if bad < 0 else bad + self._first_step


def attach(model: Any, recorder: Recorder, on_bad: OnBad) -> GuardedTrainFunction:
    """Compile `model`'s train function with the sentinel inside.

    Raises:
        UsageError: under a `keras.distribution`, whose state has a fixed sharding.
    """
    present = model.__dict__.get("train_function")
    if isinstance(present, GuardedTrainFunction):
        return present
    if _is_distributed():
        raise UsageError("stayfinite cannot guard a model under keras.distribution yet")
    overridden = model.__dict__.get("train_step")
    model.__dict__["train_step"] = sentinel.guarded(model.train_step)
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

    def own(leaf: Any) -> Any:
        on_host = not isinstance(leaf, jax.Array) or leaf.devices() == set(jax.devices("cpu")[:1])
        return np.array(leaf) if on_host else leaf

    return jax.tree.map(own, data)


def _is_distributed() -> bool:
    import keras

    return keras.distribution.distribution() is not None
