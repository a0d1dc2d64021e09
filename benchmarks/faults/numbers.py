"""Numbers of a running training changed, many trainings in one process.

A fault in the batch, the loss or the gradients is left out under the policy `skip`. One in the
state ends the training under `stop`, and another `fit` goes on from the checkpoints. What has to be
noticed is what the same training without a guard shows: the first step after which the loss or a
number of the state is not finite.
"""

from __future__ import annotations

import math
import random
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

import stayfinite
from benchmarks.faults import network
from benchmarks.faults.files import damaged_checkpoints
from benchmarks.faults.kinds import NumberFault
from benchmarks.faults.result import Result

NUM_STEPS = 16
EVERY = 5
_OF_BATCH = ("loss", "gradients", "batch")

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Injection:
    """`change` is made to an array that `kind.place` names, before step `step`."""

    kind: NumberFault
    step: int
    change: Callable[[np.ndarray], np.ndarray]
    choice: float  # from 0 to 1: which of the arrays


def results(kinds: Sequence[NumberFault], num: int, seed: int) -> Iterator[Result]:
    """The injections of `kinds`, of about `num` of all kinds."""
    warnings.simplefilter("ignore", RuntimeWarning)
    trainings = Trainings()
    for kind in kinds:
        generator = random.Random(f"{seed} {kind.name}")
        for _ in range(max(1, round(kind.share * num / 500))):
            injection = _drawn(kind, generator)
            if kind.place in _OF_BATCH:
                yield _skipped(trainings, injection)
            else:
                yield _stopped(trainings, injection)


def _drawn(kind: NumberFault, generator: random.Random) -> Injection:
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
    """The same network three times, since a guard is compiled into the step."""

    def __init__(self) -> None:
        self.bare, self.skip, self.stop = (network.compiled() for _ in range(3))
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
        if place not in _OF_BATCH:
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
        arrays = [v for v in found if v.shape and str(v.dtype) == "float32"]
        chosen = arrays[int(self._injection.choice * len(arrays))]
        chosen.assign(self._injection.change(keras.ops.convert_to_numpy(chosen)))


class _Observer(keras.callbacks.Callback):
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


def _observed(trainings: Trainings, injection: Injection) -> tuple[_Observer, Arrays]:
    batches, faults = trainings.with_fault(injection)
    observer = _Observer()
    trainings.fit(trainings.bare, batches, [*faults, observer])
    return observer, network.values(trainings.bare)


def _skipped(trainings: Trainings, injection: Injection) -> Result:
    observer, end = _observed(trainings, injection)
    batches, faults = trainings.with_fault(injection)
    bad = observer.first_bad
    with tempfile.TemporaryDirectory() as folder:
        guard = stayfinite.Guard("skip", keep=folder)
        trainings.fit(trainings.skip, batches, [*faults, guard])
    noticed = [made.batch for made in guard.interventions]
    expected = end if bad is None else trainings.without(injection.step)
    # Where the harm comes after the faulty batch, that batch has been trained on.
    same = (
        _equal(network.values(trainings.skip), expected) if bad in (None, injection.step) else None
    )
    return Result(
        injection.kind.name,
        has_effect=bad is not None,
        noticed=noticed[:1] == ([] if bad is None else [bad]),
        num_late=None if bad is None else bad - injection.step,
        same_bits=same,
        detail=f"step {injection.step}: bad is {bad}, noticed is {noticed}",
    )


def _stopped(trainings: Trainings, injection: Injection) -> Result:
    observer, end = _observed(trainings, injection)
    batches, faults = trainings.with_fault(injection)
    bad, model = observer.first_bad, trainings.stop
    folder = Path(tempfile.mkdtemp())
    stopped: int | None = None

    def watched() -> list[keras.callbacks.Callback]:
        checkpoint = stayfinite.SafeCheckpoint(folder / "checkpoints", every=EVERY, keep=2)
        return [stayfinite.Guard(keep=folder / "incidents"), checkpoint]

    try:
        trainings.fit(model, batches, [*faults, *watched()])
    except stayfinite.NonFiniteError as error:
        stopped = error.incident.where.batch
    same = _equal(network.values(model), end if bad is None else observer.before)
    damaged = damaged_checkpoints(folder / "checkpoints")
    # Without those that SafeCheckpoint leaves out, because a bad step came at once after them.
    paths = [p for p in (folder / "checkpoints").glob("step-*") if not (p / "bad-step").exists()]
    saved = [int(path.name.removeprefix("step-")) for path in paths]
    went_on = lost = None
    detail = f"step {injection.step}: bad is {bad}, noticed is {stopped}; {damaged}"
    if stopped is not None:
        try:
            trainings.fit(model, trainings.batches, watched())
            went_on = True
            lost = stopped - max(saved, default=0)
            if not any(injection.step < step for step in saved):
                same = same and _equal(network.values(model), trainings.without(None))
        except stayfinite.NonFiniteError:
            # A number that is finite still, and already fatal, may be in a checkpoint.
            went_on = False
            detail += f"; checkpoints of steps {saved}"
    shutil.rmtree(folder)
    return Result(
        injection.kind.name,
        has_effect=bad is not None,
        noticed=stopped == bad,
        num_late=None if bad is None else bad - injection.step,
        num_damaged=len(damaged),
        num_lost=lost,
        went_on=went_on,
        same_bits=same,
        detail=detail,
    )


def _equal(found: Arrays, expected: Arrays) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(one.tobytes() == other.tobytes() for one, other in pairs)
