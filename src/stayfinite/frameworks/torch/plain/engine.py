"""The step of a loop over `torch.optim`, run op by op."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from stayfinite.frameworks.attributes import replaced
from stayfinite.frameworks.batch import ChangeError
from stayfinite.frameworks.entries import note_entry
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.recording.engine import Update
from stayfinite.frameworks.recording.recording import Recording
from stayfinite.frameworks.state import State, Tensor
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.engine import StepWatcher, TorchEngine
from stayfinite.frameworks.torch.plain import verdict
from stayfinite.frameworks.torch.plain.optimizer import TorchOptimizer
from stayfinite.frameworks.torch.plain.sharded import local
from stayfinite.frameworks.torch.plain.subject import TorchLoop


class PlainEngine(TorchEngine):
    """Runs the step of a `TorchLoop`."""

    def __init__(self, subject: TorchLoop) -> None:
        super().__init__(subject)
        self._loop = subject
        self._remade = subject.remade

    def tensor(self, value: Tensor) -> Any:
        """A NumPy array as a tensor on the device of the weights; a tensor as it is."""
        if isinstance(value, torch.Tensor):
            return value
        weights = self._loop.optimizer.weights
        device = private.tensor_of(weights[0]).device if weights else None
        return torch.as_tensor(value, device=device)

    def numpy(self, tensor: Tensor) -> np.ndarray:
        """The tensor on the host, bfloat16 as float32; of one that is sharded the part here."""
        return private.numpy_of(local(tensor))

    def watcher(self) -> StepWatcher:
        """The watcher that the hooks in PyTorch call."""
        return StepWatcher()

    def observed(self, watcher: StepWatcher) -> AbstractContextManager[None]:
        """Inside the block, the steps of the subject call `watcher`."""
        return self._remade.observed(watcher)

    @contextlib.contextmanager
    def entered(self, recording: Recording) -> Iterator[None]:
        """Inside the block, `recording.chain` has each module and optimizer at work."""
        plain = torch.nn.Module.__call__
        optimizer = self._loop.optimizer.inner

        def scoped_call(module: Any, *args: Any, **kwargs: Any) -> Any:
            with recording.inside(module):
                return plain(module, *args, **kwargs)

        def begins(applied: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
            # A closure is code of the user, and in none of the optimizer's ops.
            if len(args) < 2 and "closure" not in kwargs:
                recording.chain.append(applied)

        note_entry(scoped_call.__code__)
        # The code of the function that PyTorch puts around the `step` of every optimizer.
        note_entry(type(optimizer).step.__code__)
        num_outside = len(recording.chain)
        hook = optimizer.register_step_pre_hook(begins)
        try:
            with replaced(torch.nn.Module, "__call__", scoped_call):
                yield
        finally:
            hook.remove()
            # The run ends in the hook after the update.
            del recording.chain[num_outside:]

    def kept(self) -> AbstractContextManager[None]:
        """What a step changes beside its variables is as it was after the block."""
        return self._remade.begun()

    def apply(self, update: Update, factor: float) -> None:
        """Apply given gradients, the learning rate times `factor`."""
        optimizer = update.optimizer
        assert isinstance(optimizer, TorchOptimizer)
        if isinstance(optimizer.inner, torch.optim.LBFGS):
            # It computes gradients of its own at each of its evaluations.
            raise ChangeError(WhyNot(Obstacle.SEVERAL_EVALUATIONS))
        for variable, gradient in zip(update.variables, update.gradients, strict=True):
            tensor = private.tensor_of(variable)
            # NumPy has no bfloat16, so a gradient that was changed there is wider.
            tensor.grad = gradient.to(tensor.dtype)
        with optimizer.scaled(factor), self._remade.unobserved():
            optimizer.inner.step()

    def is_as_before(self, before: Any, after: Any) -> bool:
        """As training is judged: a history of values may be NaN where nothing was written yet."""
        return verdict.is_unspoilt(self.tensor(before), after)

    def other_bad_state(self, state: State) -> list[str]:
        """Slots that the step has made and that are not finite, and a loss scale that is spent."""
        slots = self._loop.optimizer.missing()
        bad = [name for name, tensor in slots if not self.is_finite(tensor)]
        return [*bad, "loss scale"] if self._remade.has_collapsed else bad

    def default_device(self, device: str) -> AbstractContextManager[None]:
        """Inside the block, tensors are made on `device`."""
        scope: AbstractContextManager[None] = torch.device(device)
        return scope
