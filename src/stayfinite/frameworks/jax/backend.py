"""JAX as a `Backend`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

import numpy as np

from stayfinite.frameworks.base import GuardedFunction, OnBad
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.jax import guard
from stayfinite.frameworks.jax.framework import JaxFramework
from stayfinite.frameworks.jax.state import state_variables
from stayfinite.frameworks.keras.batches import batch_of
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.state import Variable
from stayfinite.frameworks.subject import Compilation, Subject, TrainFunction, TrainStep


class JaxBackend(JaxFramework):
    """The `base.Backend` of JAX."""

    is_stateless = True

    def attach(
        self, subject: Subject, recorder: Recorder, on_bad: OnBad, *, resumes: bool = False
    ) -> GuardedFunction:
        """Compile the train function with the sentinel inside."""
        return guard.attach(subject, recorder, on_bad, resumes=resumes)

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


BACKEND = JaxBackend()
