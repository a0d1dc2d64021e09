"""JAX as a `Backend`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

import jax
import numpy as np

from stayfinite.frameworks.base import GuardedFunction, OnBad
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.jax import devices, guard
from stayfinite.frameworks.jax.state import state_variables
from stayfinite.frameworks.keras.batches import batch_of
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.step import Step
from stayfinite.frameworks.subject import (
    Compilation,
    Subject,
    TrainFunction,
    TrainStep,
    Variable,
)


class JaxBackend:
    """The `base.Backend` of JAX."""

    name = "jax"
    is_stateless = True

    def attach(
        self, subject: Subject, recorder: Recorder, on_bad: OnBad, *, resumes: bool = False
    ) -> GuardedFunction:
        """Compile the train function with the sentinel inside."""
        return guard.attach(subject, recorder, on_bad, resumes=resumes)

    def step(self, failure: Failure) -> Step:
        """The failing step, traced."""
        # Imported here because a finite training does not need it.
        from stayfinite.frameworks.jax.step import JaxStep

        batch = self.batch(failure.subject, failure.bad.data)
        return JaxStep.of(failure.subject, failure.state, batch)

    def batch(self, subject: Subject, data: object) -> Batch:
        """The data of a step with a name for each array."""
        return batch_of(subject, data, np.asarray)

    def variables(self, subject: Subject) -> list[list[Variable]]:
        """The variables of a state, in its four groups."""
        return state_variables(subject)

    def uncompiled(self, step: TrainStep) -> TrainStep:
        """The function inside `jax.jit`."""
        return guard.uncompiled(step)

    def compilation(self, step: TrainStep) -> Compilation:
        """A step is always compiled, by XLA."""
        return Compilation(eager=False, xla=True)

    def compiled(self, step: TrainStep, compilation: Compilation) -> TrainFunction:
        """A train function that draws one batch and makes `step`."""
        return guard.compiled(step)

    def one_batch(self, data: object) -> object:
        """An iterator over one batch."""
        return iter([data])

    def gradient_norm(self, subject: Subject) -> Callable[[object], float]:
        """By a compiled function of its own."""
        # Imported here because few trainings log it.
        from stayfinite.frameworks.jax.gradient_norm import JaxGradientNorm

        return JaxGradientNorm(subject)

    def versions(self) -> dict[str, str]:
        """Of JAX, Keras and NumPy."""
        return {name: metadata.version(name) for name in ("jax", "jaxlib", "keras", "numpy")}

    def has_float64(self) -> bool:
        """Whether a program may compute in float64, which JAX allows only if told so."""
        return bool(jax.config.jax_enable_x64)

    def device(self) -> str:
        """Platform and kind of the first device."""
        device = jax.devices()[0]
        return f"{device.platform}: {device.device_kind}"

    def other_devices(self) -> list[str]:
        """The second device, and the CPU beside a GPU."""
        return [devices.name_of(device) for device in devices.others()]


BACKEND = JaxBackend()
