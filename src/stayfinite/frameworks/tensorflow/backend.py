"""TensorFlow as a `Backend`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import metadata

import tensorflow as tf

from stayfinite.frameworks.base import GuardedFunction, OnBad
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.keras.batches import batch_of
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.state import Variable
from stayfinite.frameworks.step import Step
from stayfinite.frameworks.subject import (
    Compilation,
    Subject,
    TrainFunction,
    TrainStep,
    state_variables,
)
from stayfinite.frameworks.tensorflow import guard, private, private_functions
from stayfinite.frameworks.tensorflow.call_arguments import CallArguments
from stayfinite.frameworks.tensorflow.state import numpy_of


class TensorFlowBackend:
    """The `base.Backend` of TensorFlow."""

    name = "tensorflow"
    is_stateless = False

    def attach(
        self, subject: Subject, recorder: Recorder, on_bad: OnBad, *, resumes: bool = False
    ) -> GuardedFunction:
        """Make the train function with the sentinel inside."""
        return guard.attach(subject, recorder, on_bad, resumes=resumes)

    def step(self, failure: Failure) -> Step:
        """The failing step, run op by op."""
        # Imported here because a finite training does not need it.
        from stayfinite.frameworks.recording.step import EagerStep
        from stayfinite.frameworks.tensorflow.engine import TensorFlowEngine

        batch = self.batch(failure.subject, failure.bad.data)
        return EagerStep.of(TensorFlowEngine(failure.subject), failure.state, batch)

    def batch(self, subject: Subject, data: object) -> Batch:
        """The data of a step with a name for each array."""
        if isinstance(data, CallArguments):
            return data.batch(numpy_of)
        return batch_of(subject, data, numpy_of)

    def variables(self, subject: Subject) -> list[list[Variable]]:
        """The variables of a state, in its four groups."""
        return state_variables(subject)

    def uncompiled(self, step: TrainStep) -> TrainStep:
        """The function that was given to `tf.function`."""
        return private_functions.python_function_of(step)

    def compilation(self, step: TrainStep) -> Compilation:
        """Whether `tf.function` made it, and whether XLA compiles it."""
        return Compilation(
            eager=not private_functions.is_function(step), xla=private_functions.is_xla(step)
        )

    def compiled(self, step: TrainStep, compilation: Compilation) -> TrainFunction:
        """A train function that makes `step` on the next batch of an iterator."""
        return private.make_function(compilation, step)

    def one_batch(self, data: object) -> object:
        """An iterator over one batch."""
        return iter([data])

    def gradient_norm(self, subject: Subject) -> Callable[[object], float]:
        """By an eager step that is not applied."""
        # Imported here because few trainings log it.
        from stayfinite.frameworks.tensorflow.gradient_norm import gradient_norm

        return functools.partial(gradient_norm, subject)

    def versions(self) -> dict[str, str]:
        """Of TensorFlow, Keras and NumPy."""
        return {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy")}

    def has_float64(self) -> bool:
        """Whether a program may compute in float64."""
        return True

    def device(self) -> str:
        """The first GPU, or the CPU."""
        gpus = tf.config.list_logical_devices("GPU")
        if not gpus:
            return "cpu"
        details = tf.config.experimental.get_device_details(
            tf.config.list_physical_devices("GPU")[0]
        )
        return f"gpu: {details.get('device_name', 'unknown')}"

    def other_devices(self) -> list[str]:
        """The second logical device, and the CPU beside a GPU."""
        cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
        gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
        others = [*gpus[1:2], *cpus[:1]] if gpus else cpus[1:2]
        return [name.removeprefix("/device:").lower() for name in others]


BACKEND = TensorFlowBackend()
