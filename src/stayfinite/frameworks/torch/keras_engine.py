"""The train step of a Keras model on PyTorch, run op by op."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import keras

from stayfinite.frameworks.keras import calls as keras_calls
from stayfinite.frameworks.keras import loss_scales, optimizer_settings, own_values
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.loss_scale import are_gradients_asked_for
from stayfinite.frameworks.recording.engine import Update
from stayfinite.frameworks.recording.recording import Recording
from stayfinite.frameworks.state import State, Tensor
from stayfinite.frameworks.torch import hooks, keras_hooks, keras_loops, private
from stayfinite.frameworks.torch.engine import StepWatcher, TorchEngine


class KerasEngine(TorchEngine):
    """Runs the train step of a subject that is a Keras model."""

    def tensor(self, value: Tensor) -> Any:
        """A NumPy array as a tensor on Keras's device."""
        return keras.ops.convert_to_tensor(value)

    def watcher(self) -> StepWatcher:
        """The watcher that the hooks in Keras call."""
        return _Watcher()

    @contextlib.contextmanager
    def observed(self, watcher: StepWatcher) -> Iterator[None]:
        """Inside the block, the hooks call `watcher` for what the step does."""
        assert isinstance(watcher, _Watcher)
        keras_hooks.observe(watcher)
        try:
            yield
        finally:
            hooks.unobserve()

    def entered(self, recording: Recording) -> AbstractContextManager[None]:
        """Inside the block, `recording.inside` is entered with each Keras object at work."""
        return keras_calls.entered(recording.inside)

    def apply(self, update: Update, factor: float) -> None:
        """Apply given gradients, the learning rate times `factor`."""
        with optimizer_settings.scaled_learning_rate(update.optimizer, factor):
            update.optimizer.apply(update.gradients, update.variables)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """The hooks see every change of a variable; loops of the program are not judged."""
        with keras_loops.unjudged(), own_values.kept(self.subject):
            yield

    def other_bad_state(self, state: State) -> list[str]:
        """The paths of the scales of a `LossScaleOptimizer` that fell below their minimum."""
        slots = self.variables()[2]
        return loss_scales.collapsed_scales(
            self.subject.optimizers, state.optimizer, lambda n: private.tensor_of(slots[n])
        )

    def default_device(self, device: str) -> AbstractContextManager[None]:
        """Inside the block, Keras makes tensors on `device`."""
        scope: AbstractContextManager[None] = keras.device(device)
        return scope


class _Watcher(StepWatcher):
    """Notes what is differentiated and what an optimizer is given; see `hooks.Observer`."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def assigning(self, variable: Any) -> None:
        """Keeps the old value where no state holds it, as of Nadam's product of momentums."""
        tensor = private.tensor_of(variable)
        if id(tensor) not in self.restored:
            self.others.save(tensor)

    def update(self, optimizer: Any, gradients: Any, variables: Any, run: Any) -> Any:
        """Notes the gradients of the outermost optimizer."""
        if self._depth == 0:
            self._note(optimizer, gradients, variables)
        return self._inside(run)

    def scaled_update(self, optimizer: Any, gradients: Any, variables: Any, run: Any) -> Any:
        """Keep the gradients under loss scaling only if the scale cannot be lowered further."""
        is_outer = self._depth == 0 and optimizer.built
        if is_outer and (
            are_gradients_asked_for() or loss_scales.is_spent(optimizer.dynamic_scale)
        ):
            self._note(optimizer, gradients, variables)
        return self._inside(run)

    def _note(self, optimizer: Any, gradients: Any, variables: Any) -> None:
        owned = keras_private.variables_of(optimizer) if variables is None else list(variables)
        given = zip(gradients, owned, strict=False)
        self.note(optimizer, [(g, v) for g, v in given if g is not None])

    def _inside(self, run: Callable[[], Any]) -> Any:
        if self._depth == 0:
            self.before_update()
        self._depth += 1
        try:
            return run()
        finally:
            self._depth -= 1
