"""PyTorch as a `Backend`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

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
from stayfinite.frameworks.torch import devices, guard, private


class TorchBackend:
    """The `base.Backend` of PyTorch."""

    name = "torch"
    is_stateless = False

    def attach(
        self, subject: Subject, recorder: Recorder, on_bad: OnBad, *, resumes: bool = False
    ) -> GuardedFunction:
        """Put the sentinel around the train function."""
        return guard.attach(subject, recorder, on_bad, resumes=resumes)

    def step(self, failure: Failure) -> Step:
        """The failing step, run op by op."""
        # Imported here because a finite training does not need it.
        from stayfinite.frameworks.recording.step import EagerStep
        from stayfinite.frameworks.torch.keras_engine import KerasEngine

        batch = self.batch(failure.subject, failure.bad.data)
        return EagerStep.of(KerasEngine(failure.subject), failure.state, batch)

    def batch(self, subject: Subject, data: object) -> Batch:
        """The data of a step with a name for each array."""
        return batch_of(subject, data, private.numpy_of)

    def variables(self, subject: Subject) -> list[list[Variable]]:
        """The variables of a state, in its four groups."""
        return state_variables(subject)

    def uncompiled(self, step: TrainStep) -> TrainStep:
        """What was given to `torch.compile`."""
        function: TrainStep = private.function_of(step)
        return function

    def compilation(self, step: TrainStep) -> Compilation:
        """Whether `torch.compile` made it."""
        return Compilation(eager=not private.is_compiled(step))

    def compiled(self, step: TrainStep, compilation: Compilation) -> TrainFunction:
        """A train function that makes `step` on the only batch of a list."""
        return guard.compiled(step, compilation)

    def one_batch(self, data: object) -> object:
        """A list of one batch."""
        return [data]

    def gradient_norm(self, subject: Subject) -> Callable[[object], float]:
        """Of the gradients that the last step has left."""
        # Imported here because few trainings log it.
        from stayfinite.frameworks.torch.gradient_norm import gradient_norm

        return lambda data: gradient_norm(subject)

    def versions(self) -> dict[str, str]:
        """Of PyTorch, Keras and NumPy."""
        return {name: metadata.version(name) for name in ("torch", "keras", "numpy")}

    def has_float64(self) -> bool:
        """Whether a program may compute in float64."""
        return True

    def device(self) -> str:
        """The CUDA device in use, or the CPU."""
        return devices.device()

    def other_devices(self) -> list[str]:
        """Another CUDA device, and the CPU beside one."""
        return devices.other_devices()


BACKEND = TorchBackend()
