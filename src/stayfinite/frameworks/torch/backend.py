"""The PyTorch backend behind the seam of `backends.base`."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import torch

from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.step import Step
from stayfinite.frameworks.torch import guard, private


class TorchBackend:
    """See `backends.base.Backend`."""

    name = "torch"

    def attach(self, model: Any, recorder: Recorder, on_bad: Any) -> Any:
        """See `Backend.attach`."""
        return guard.attach(model, recorder, on_bad)

    def step(self, failure: Failure) -> Step:
        """See `Backend.step`."""
        # Imported here: a training that stays finite never pays for it.
        from stayfinite.frameworks.recording.step import EagerStep
        from stayfinite.frameworks.torch.engine import TorchEngine

        return EagerStep(TorchEngine(failure.model), failure.state, failure.bad.data)

    def plain(self, step: Any) -> Any:
        """See `Backend.plain`."""
        return private.function_of(step)

    def prepare(self, loop: Any, step: Any) -> None:
        """See `Backend.prepare`."""

        def compile_(train_step: Any) -> Any:
            def train_function(data: Any) -> Any:
                return train_step(data[0])

            return torch.compile(train_function) if private.is_compiled(step) else train_function

        loop.compile = compile_

    def one_batch(self, batch: Any) -> Any:
        """See `Backend.one_batch`."""
        return [batch]

    def versions(self) -> dict[str, str]:
        """See `Backend.versions`."""
        return {name: metadata.version(name) for name in ("torch", "keras", "numpy")}

    def device(self) -> str:
        """See `Backend.device`."""
        if torch.cuda.is_available():
            return f"cuda: {torch.cuda.get_device_name()}"
        return "cpu: cpu"


BACKEND = TorchBackend()
