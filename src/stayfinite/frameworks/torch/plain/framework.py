"""Plain PyTorch as a `base.Framework`."""

from __future__ import annotations

from importlib import metadata

from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.step import Step
from stayfinite.frameworks.subject import Subject
from stayfinite.frameworks.torch import devices
from stayfinite.frameworks.torch.plain.data import LoopData, batch_of


class PlainTorch:
    """What explains a bad step of a loop over `torch.optim`."""

    name = "torch"

    def step(self, failure: Failure) -> Step:
        """The failing step, run op by op."""
        # Imported here because a finite training does not need it.
        from stayfinite.frameworks.recording.step import EagerStep
        from stayfinite.frameworks.torch.plain.engine import PlainEngine
        from stayfinite.frameworks.torch.plain.subject import TorchLoop

        subject = failure.subject
        assert isinstance(subject, TorchLoop)
        batch = self.batch(subject, failure.bad.data)
        return EagerStep.of(PlainEngine(subject), failure.state, batch)

    def batch(self, subject: Subject, data: object) -> Batch:
        """The data of a step with a name for each array."""
        assert isinstance(data, LoopData)
        return batch_of(data)

    def versions(self) -> dict[str, str]:
        """Of PyTorch and NumPy."""
        return {name: metadata.version(name) for name in ("torch", "numpy")}

    def has_float64(self) -> bool:
        """Whether a program may compute in float64."""
        return True

    def device(self) -> str:
        """The CUDA device in use, or the CPU."""
        return devices.device()

    def other_devices(self) -> list[str]:
        """None: the tensors that the user's loop makes stay on its device."""
        return []


FRAMEWORK = PlainTorch()
