"""The TensorFlow backend behind the seam of `backends.base`."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import tensorflow as tf

from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.step import Step
from stayfinite.frameworks.tensorflow import guard, private


class TensorFlowBackend:
    """See `backends.base.Backend`."""

    name = "tensorflow"

    def attach(self, model: Any, recorder: Recorder, on_bad: Any) -> Any:
        """See `Backend.attach`."""
        return guard.attach(model, recorder, on_bad)

    def step(self, failure: Failure) -> Step:
        """See `Backend.step`."""
        from stayfinite.frameworks.recording.step import EagerStep
        from stayfinite.frameworks.tensorflow.engine import TensorFlowEngine

        engine = TensorFlowEngine(failure.model)
        return EagerStep(engine, failure.state, failure.bad.data)

    def plain(self, step: Any) -> Any:
        """See `Backend.plain`."""
        return step.python_function if private.is_function(step) else step

    def prepare(self, loop: Any, step: Any) -> None:
        """See `Backend.prepare`."""
        loop.distribute_strategy = tf.distribute.get_strategy()
        loop.steps_per_execution = 1
        loop.run_eagerly = not private.is_function(step)
        loop.jit_compile = private.is_xla(step)
        loop.built = True

    def one_batch(self, batch: Any) -> Any:
        """See `Backend.one_batch`."""
        return iter([batch])

    def versions(self) -> dict[str, str]:
        """See `Backend.versions`."""
        installed = (name for name in ("tensorflow", "keras", "numpy"))
        return {name: metadata.version(name) for name in installed}

    def device(self) -> str:
        """See `Backend.device`."""
        gpus = tf.config.list_logical_devices("GPU")
        if not gpus:
            return "cpu"
        details = tf.config.experimental.get_device_details(
            tf.config.list_physical_devices("GPU")[0]
        )
        return f"gpu: {details.get('device_name', 'unknown')}"


BACKEND = TensorFlowBackend()
