"""`python -m zoo.probing STEP FILE SCRIPT`: what one training step of a script computes.

Runs the script to its end under plain Keras. Writes, for each model that reaches step STEP, the
loss and the gradients of that step and the weights before and after it. Steps are counted from 0
over all fits and calls of `train_on_batch` of the model. FILE is an `.npz`; `zoo.values` reads it.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.gradients import STORES, Array, GradientStore, record_gradients
from zoo.records import Record


class Steps:
    """Counts the steps of each model and records the one that is asked for."""

    def __init__(self, step: int, gradients: GradientStore) -> None:
        self.step = step
        self.records: list[Record] = []
        self._gradients = gradients
        self._done: dict[int, int] = {}
        self._models: list[Any] = []  # keeps their ids from being used again

    def is_next(self, model: Any) -> bool:
        """Whether the step that this model begins now is the one to record."""
        return self._done.get(id(model), 0) == self.step

    def begin(self, model: Any) -> None:
        """Record the weights before the step; its logs are to be of this step alone."""
        model.reset_metrics()
        self._gradients.clear()
        self.records.append(Record(_weights(model), [weight.trainable for weight in model.weights]))

    def end(self, model: Any, logs: dict[str, Any]) -> None:
        """Record the rest of the step that was begun."""
        record = self.records[-1]
        record.logs = {name: np.asarray(value, "float64") for name, value in logs.items()}
        record.gradients = self._gradients.newest()
        record.after = _weights(model)

    def count(self, model: Any) -> None:
        """Count one step of this model that has ended."""
        if id(model) not in self._done:
            self._models.append(model)
        self._done[id(model)] = self._done.get(id(model), 0) + 1


def _weights(model: Any) -> list[Array]:
    return [np.array(weight, "float32") for weight in model.get_weights()]


def record_steps(steps: Steps) -> None:
    """From now on, count the steps of `fit` and `train_on_batch`, and record the one asked for."""
    import keras

    class Probe(keras.callbacks.Callback):
        """Comes after the callbacks of the script."""

        def __init__(self) -> None:
            super().__init__()
            self.subject: Any = None
            self.recording = False

        def set_model(self, model: Any) -> None:
            super().set_model(model)
            self.subject = model
            model.steps_per_execution = 1

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.recording = steps.is_next(self.subject)
            if self.recording:
                # On JAX, this attribute brings the weights of the compiled step into the model.
                steps.begin(self.model)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.recording:
                steps.end(self.model, dict(logs or {}))
            steps.count(self.subject)

    plain_list = keras.callbacks.CallbackList.__init__

    def with_probe(self: Any, callbacks: Any = None, *arguments: Any, **options: Any) -> None:
        # Keras looks at these callbacks to decide whether to call them in a thread.
        callbacks = [*keras.tree.flatten(callbacks or []), Probe()]
        plain_list(self, callbacks, *arguments, **options)

    keras.callbacks.CallbackList.__init__ = with_probe
    kind = next(kind for kind in keras.Model.__mro__ if "train_on_batch" in vars(kind))
    plain_on_batch = kind.train_on_batch

    def train_on_batch(self: Any, *arguments: Any, **options: Any) -> Any:
        recording = steps.is_next(self)
        if recording:
            steps.begin(self)
        result = plain_on_batch(self, *arguments, **options)
        if recording:
            steps.end(self, self.get_metrics_result())
        steps.count(self)
        return result

    kind.train_on_batch = train_on_batch


def main(arguments: Sequence[str]) -> None:
    """Run the script as `__main__`; its exceptions pass through, after what is known is written."""
    import keras

    step, file, script = int(arguments[0]), Path(arguments[1]).resolve(), arguments[2]
    store = STORES[keras.backend.backend()]()
    steps = Steps(step, store)
    record_gradients(store)
    record_steps(steps)
    sys.argv = [script]
    sys.path[0] = str(Path(script).resolve().parent)
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        arrays: dict[str, Array] = {}
        for i, record in enumerate(steps.records):
            arrays |= record.arrays(str(i))
        np.savez(file, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(sys.argv[1:])
