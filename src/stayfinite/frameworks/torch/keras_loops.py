"""Hand-written loops that train by an optimizer of Keras on PyTorch, as loops over `torch.optim`.

Each `optimizer.apply` outside a guarded step of Keras goes by way of an optimizer of PyTorch. Its
parameters are the tensors of the variables, so its step is judged, noted and made again as any
other; the update itself is that of Keras.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from stayfinite.frameworks.keras import optimizer_settings
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.torch import first_statistics, private
from stayfinite.frameworks.torch.first_statistics import FIRST_STATISTICS
from stayfinite.frameworks.torch.hooks import hook, observer_here

_installed = False
_num_unjudged = 0


def install() -> None:
    """Judge each update of a Keras optimizer outside a guarded step, once a process."""
    global _installed
    if not _installed:
        _installed = True
        hook(keras_private.BaseOptimizer, "apply", _apply)
        first_statistics.install()


@contextlib.contextmanager
def unjudged() -> Iterator[None]:
    """Inside the block no update is judged, as of a step that is made again."""
    global _num_unjudged
    _num_unjudged += 1
    try:
        yield
    finally:
        _num_unjudged -= 1


class KerasUpdates(torch.optim.Optimizer):
    """The updates of a Keras optimizer as those of an optimizer of PyTorch.

    Args:
        optimizer: The optimizer, built.
        apply: Its method of Keras.
    """

    def __init__(self, optimizer: Any, apply: Callable[..., None]) -> None:
        self._keras = weakref.ref(optimizer)
        self._apply = apply
        self._variables = keras_private.variables_of(optimizer)
        self._rate = float(optimizer.learning_rate)
        tensors = [private.tensor_of(variable) for variable in self._variables]
        # What the modules hold is noted now.
        with FIRST_STATISTICS.in_place():
            super().__init__(tensors, {"lr": self._rate})
        slots = {slot.path: private.tensor_of(slot) for slot in optimizer.variables}
        self.state[tensors[0]] = slots

    @property
    def is_current(self) -> bool:
        """Whether the optimizer still has these variables."""
        optimizer = self._keras()
        if optimizer is None:
            return False
        # By identity: the operator `==` compares the values of variables.
        return _ids(keras_private.variables_of(optimizer)) == _ids(self._variables)

    @contextlib.contextmanager
    def given(self, gradients: Sequence[Any], variables: Sequence[Any]) -> Iterator[None]:
        """Inside the block the parameters have these gradients."""
        optimizer = self._keras()
        assert optimizer is not None
        self._rate = self.param_groups[0]["lr"] = float(optimizer.learning_rate)
        tensors = [private.tensor_of(variable) for variable in self._variables]
        before = [tensor.grad for tensor in tensors]
        for tensor in tensors:
            tensor.grad = None
        for gradient, variable in zip(gradients, variables, strict=True):
            private.tensor_of(variable).grad = gradient
        try:
            yield
        finally:
            for tensor, gradient in zip(tensors, before, strict=True):
                tensor.grad = gradient

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Apply the gradients that the parameters have; nothing where none has one."""
        optimizer = self._keras()
        pairs = [(private.tensor_of(v).grad, v) for v in self._variables]
        pairs = [(gradient, variable) for gradient, variable in pairs if gradient is not None]
        if optimizer is None or not pairs:
            return
        gradients, variables = map(list, zip(*pairs, strict=True))
        factor = self.param_groups[0]["lr"] / self._rate if self._rate else 1.0
        if factor == 1.0:
            self._apply(optimizer, gradients, variables)
        else:
            with optimizer_settings.scaled_learning_rate(optimizer, factor):
                self._apply(optimizer, gradients, variables)


def _ids(variables: Sequence[Any]) -> list[int]:
    return [id(variable) for variable in variables]


_UPDATES: weakref.WeakKeyDictionary[Any, KerasUpdates] = weakref.WeakKeyDictionary()


def _apply(plain: Any) -> Any:
    def apply(optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
        if _num_unjudged or observer_here() is not None or torch.compiler.is_compiling():
            return plain(optimizer, grads, trainable_variables)
        gradients = list(grads)
        known = trainable_variables is not None
        variables = list(trainable_variables) if known else keras_private.variables_of(optimizer)
        if not variables or keras_private.is_stateless() or len(gradients) != len(variables):
            return plain(optimizer, gradients, variables if known else None)
        updates = _updates_of(optimizer, variables, plain)
        with updates.given(gradients, variables):
            updates.step()
        FIRST_STATISTICS.num_updates += 1
        return None

    return apply


def _updates_of(optimizer: Any, variables: Sequence[Any], plain: Any) -> KerasUpdates:
    optimizer_settings.build_slots(optimizer, variables)
    found = _UPDATES.get(optimizer)
    if found is None or not found.is_current:
        found = _UPDATES[optimizer] = KerasUpdates(optimizer, plain)
    return found
