"""Trainings in one process with one number changed, and what they are without a guard."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from benchmarks.faults import network
from benchmarks.faults.kinds import NumberFault

NUM_STEPS = 16
OF_BATCH = ("loss", "gradients", "batch")

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Injection:
    """`change` is made to an array that `kind.place` names, before step `step`."""

    kind: NumberFault
    step: int
    change: Callable[[np.ndarray], np.ndarray]
    choice: float  # from 0 to 1: which of the arrays


def drawn(kind: NumberFault, generator: random.Random) -> Injection:
    """An injection of `kind`."""
    position, bit = generator.random(), generator.randrange(32)
    value = generator.choice((-1.0, 1.0))
    if kind.value == "huge value":
        value *= 10 ** generator.uniform(30, 38.5)
    elif kind.value == "inf":
        value *= math.inf
    else:
        value = math.nan

    def change(array: np.ndarray) -> np.ndarray:
        changed = np.array(array, "float32")
        flat = changed.reshape(-1)
        n = int(position * flat.size)
        if kind.value == "bit flip":
            flat.view("uint32")[n] ^= np.uint32(1 << bit)
        else:
            flat[n] = value
        return changed

    return Injection(kind, generator.randrange(1, NUM_STEPS), change, generator.random())


class Trainings:
    """The same network four times, since a guard is compiled into the step."""

    def __init__(self) -> None:
        self.bare, self.skip, self.stop, self.rollback = (network.compiled() for _ in range(4))
        self.initial = network.values(self.bare)
        self.batches = network.batches(NUM_STEPS)
        self._without: dict[int | None, Arrays] = {}

    def without(self, step: int | None) -> Arrays:
        """The end of a training in which the batch of `step` was not drawn."""
        if step not in self._without:
            chosen = [batch for n, batch in enumerate(self.batches) if n != step]
            self.fit(self.bare, chosen, [])
            self._without[step] = network.values(self.bare)
        return self._without[step]

    def fit(self, model, batches, callbacks) -> network.Batches:
        """Train `model` from the initial state; returns the data, which counts."""
        for variable, value in zip(network.variables(model), self.initial, strict=True):
            variable.assign(value)
        data = network.Batches(batches)
        model.fit(data, epochs=1, verbose=0, shuffle=False, callbacks=callbacks)
        return data

    def with_fault(self, injection: Injection) -> tuple[list, list[keras.callbacks.Callback]]:
        """The batches and callbacks that put the fault into a training."""
        batches, place = list(self.batches), injection.kind.place
        if place not in OF_BATCH:
            return batches, [_StateFault(injection)]
        x, y = batches[injection.step]
        if place == "batch":
            batches[injection.step] = (injection.change(x), y)
        else:
            column, y = (1 if place == "loss" else 2), y.copy()
            y[:, column] = injection.change(y[:, column])
            batches[injection.step] = (x, y)
        return batches, []


class _StateFault(keras.callbacks.Callback):
    """Changes one number of the state before a step."""

    def __init__(self, injection: Injection) -> None:
        super().__init__()
        self._injection = injection

    def on_train_batch_begin(self, batch, logs=None):
        if batch != self._injection.step:
            return
        model = self.model  # on JAX this writes the state into the variables
        found = {
            "weights": model.trainable_variables,
            "statistics": model.non_trainable_variables,
            "moments": model.optimizer.variables,
        }[self._injection.kind.place]
        # A learning rate and the seeds of a dropout are no numbers that a training computes.
        # The shape () of TensorFlow is true.
        arrays = [v for v in found if len(v.shape) > 0 and str(v.dtype) == "float32"]
        chosen = arrays[int(self._injection.choice * len(arrays))]
        chosen.assign(self._injection.change(keras.ops.convert_to_numpy(chosen)))


class Observer(keras.callbacks.Callback):
    """Follows a training without a guard: the first bad step, and the state before it."""

    def __init__(self) -> None:
        super().__init__()
        self.first_bad: int | None = None
        self.before: Arrays = []

    def on_train_batch_begin(self, batch, logs=None):
        if self.first_bad is None:
            self.before = network.values(self.model)
            self.model.reset_metrics()

    def on_train_batch_end(self, batch, logs=None):
        if self.first_bad is None:
            state = [value for value in network.values(self.model) if value.dtype.kind == "f"]
            if not all(np.isfinite(value).all() for value in (*state, logs["last_loss"])):
                self.first_bad = batch


def observed(trainings: Trainings, injection: Injection) -> tuple[Observer, Arrays]:
    """What the training with the fault does without a guard, and its last state."""
    batches, faults = trainings.with_fault(injection)
    observer = Observer()
    trainings.fit(trainings.bare, batches, [*faults, observer])
    return observer, network.values(trainings.bare)


def is_equal(found: Arrays, expected: Arrays) -> bool:
    """Whether two states have the same bits."""
    pairs = zip(found, expected, strict=True)
    return all(one.tobytes() == other.tobytes() for one, other in pairs)
