"""Putting the sentinel into a Keras model on TensorFlow, and stopping it safely.

Keras's own trainer makes the function, so `jit_compile`, `run_eagerly` and the reading of a
`tf.data` iterator inside the compiled function stay Keras's business.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.keras.train_function import OnBad, Polling
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.tensorflow import bounds, private
from stayfinite.frameworks.tensorflow.guard_graph import Unsuited
from stayfinite.frameworks.tensorflow.guard_sentinel import Sentinel
from stayfinite.frameworks.tensorflow.guarded import guarded, is_plain
from stayfinite.frameworks.tensorflow.state import num_bytes_of, state_of, store

# Outside of `fit` no epoch says when the state may have been set from outside.
_STEPS_PER_MEASURE = 1000


class GuardedTrainFunction(Polling):
    """Stands in for `model.train_function`: the same call, with the sentinel inside."""

    def __init__(self, model: Any, recorder: Recorder, on_bad: OnBad) -> None:
        super().__init__(model, recorder, on_bad)
        self._sentinel = Sentinel()
        # What an eager step writes unseen is not told by a graph, and a trace that is given up
        # would leave new variables without values.
        plain = is_plain(model)
        self._everything = not model.built or (not plain and model.run_eagerly)
        self._inner = self._made()
        self._unmeasured = 0
        self._bounds_matter = plain and model.run_eagerly

    def __call__(self, iterator: Iterator[Any]) -> Any:
        """One call of Keras's train function: the logs of its last step."""
        self.enter(iterator)
        self.poll(wait=False)
        if self._living().built:
            model = self._living()
            self.remember(lambda: num_bytes_of(model), lambda: _whole_state(model))
        self._measure()
        if isinstance(iterator, tf.data.Iterator):
            logs, count = self._from_dataset(iterator)
        else:
            logs, count = self._from_python(iterator)
        self.expect(_Flag(count))
        return logs

    def begin_epoch(self) -> None:
        """See `Polling`."""
        super().begin_epoch()
        self._unmeasured = 0

    def stop(self, step: int) -> None:
        """See `Polling`."""
        state = state_of(self._living())
        self._sentinel.reset()
        self._unmeasured = 0
        self._on_bad(state, step, lambda data: self._rerun(state, data))

    def _living(self) -> Any:
        # Held weakly, and called only from its own train function.
        return self._model()

    def _made(self) -> Any:
        model = self._living()
        return private.make_function(
            model, guarded(model, self._sentinel, everything=self._everything)
        )

    def _step(self, source: Any) -> Any:
        try:
            return self._inner(source)
        except Unsuited:
            # Nothing was run yet: it showed while the step was traced.
            self._everything = True
            self._inner = self._made()
            return self._inner(source)

    def _from_dataset(self, iterator: Any) -> Any:
        num_steps = self._living().steps_per_execution
        if num_steps > 1:
            # At the end of the data, a step that draws its own batch still makes what does not
            # depend on it: it counts, and moves the random seeds.
            return self._from_python(_batches(iterator))
        logs, count, data = self._step(iterator)
        for _ in self._recorder.recording(iter([data])):
            pass
        return logs, count

    def _from_python(self, iterator: Iterator[Any]) -> Any:
        batches = self._recorder.recording(iterator, own=_own)
        outputs = None
        for data in itertools.islice(batches, self._living().steps_per_execution):
            outputs = self._step([data])
        if outputs is None:
            raise StopIteration
        return outputs[:2]

    def _measure(self) -> None:
        """Find out whether the state is within the limits, unless that is known."""
        self._unmeasured -= 1
        optimizer = self._living().optimizer
        if not self._bounds_matter or self._unmeasured >= 0 or not optimizer.built:
            return
        self._unmeasured = _STEPS_PER_MEASURE
        variables = self._living().trainable_variables
        if bounds.is_provable(optimizer, variables):
            self._sentinel.bounded.assign(bounds.is_bounded(optimizer, variables))

    def _rerun(self, state: Any, data: Any) -> bool:
        count = self._step([data])[1]
        store(self._living(), state)
        self._sentinel.reset()
        return int(count) < 0


class _Flag:
    """The first bad step since the sentinel was made, from its count; see `Sentinel`."""

    def __init__(self, count: Any) -> None:
        self._count = count

    def is_ready(self) -> bool:
        # TensorFlow does not say whether a tensor of a GPU has been computed.
        return "CPU" in self._count.device

    def __int__(self) -> int:
        count = int(self._count)
        return ~count if count < 0 else -1


def attach(model: Any, recorder: Recorder, on_bad: OnBad) -> GuardedTrainFunction:
    """Make `model`'s train function with the sentinel inside.

    Raises:
        CannotGuardError: under a `tf.distribute` strategy with more than one replica.
    """
    present = model.__dict__.get("train_function")
    if isinstance(present, GuardedTrainFunction):
        return present
    if model.distribute_strategy.num_replicas_in_sync > 1:
        raise CannotGuardError(
            "stayfinite cannot guard a model on several tf.distribute replicas yet"
        )
    function = GuardedTrainFunction(model, recorder, on_bad)
    model.train_function = function
    return function


def _whole_state(model: Any) -> list[list[Any]]:
    """The state with the slots of the optimizer, which Keras is about to make otherwise."""
    optimizer = model.optimizer
    if is_plain(model) and not optimizer.built:
        with keras.name_scope(optimizer.name, caller=optimizer):
            optimizer.build(model.trainable_variables)
        optimizer.built = True
    return state_of(model)


def _batches(iterator: Any) -> Iterator[Any]:
    while True:
        batch = iterator.get_next_as_optional()
        if not batch.has_value():
            return
        yield batch.get_value()


def _own(data: Any) -> Any:
    """A copy of a batch: a loader may fill the same array again. Tensors never change."""

    def own(leaf: Any) -> Any:
        return np.array(leaf) if isinstance(leaf, np.ndarray) else leaf

    return keras.tree.map_structure(own, data)
