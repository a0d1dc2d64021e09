"""Moving statistics and seeds of Keras as they were before the first step of a hand-written loop.

The first call of a model writes to them, and only the update after it shows what is trained. If
that step is bad, they are set back to what they were before that call.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import torch

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.hooks import hook, observer_here

_MAX_BYTES = 64 * 2**20


class _First(NamedTuple):
    """A variable, which nothing else may take the id of, and what it held."""

    variable: Any
    value: torch.Tensor
    num_updates: int


class FirstStatistics:
    """The variables without gradients that layers have written to in the first step.

    Attributes:
        num_updates: The updates of any optimizer so far.
    """

    def __init__(self) -> None:
        self.num_updates = 0
        self._kept: dict[int, _First] = {}
        # The ids of those that have had their first step.
        self._known: set[int] = set()
        self._num_bytes = 0

    def assigning(self, variable: Any) -> None:
        """A variable is about to be written to."""
        key = id(variable)
        if key in self._known:
            return
        kept = self._kept.get(key)
        if not keras_private.is_in_layer():
            # As by the loading of weights: the first step begins with these values.
            if kept is not None:
                self._drop(key)
        elif kept is not None:
            if kept.num_updates < self.num_updates:
                self._drop(key)
                self._known.add(key)
                weakref.finalize(variable, self._known.discard, key)
        elif not variable.trainable:
            tensor = private.tensor_of(variable)
            if self._num_bytes + private.num_bytes(tensor) <= _MAX_BYTES:
                self._num_bytes += private.num_bytes(tensor)
                self._kept[key] = _First(variable, tensor.detach().clone(), self.num_updates)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside the block the variables have the values before their first step."""
        kept = list(self._kept.values())
        tensors = [private.tensor_of(each.variable).detach() for each in kept]
        present = [tensor.clone() for tensor in tensors]
        with torch.no_grad():
            for tensor, each in zip(tensors, kept, strict=True):
                tensor.copy_(each.value)
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, value in zip(tensors, present, strict=True):
                    tensor.copy_(value)

    def _drop(self, key: int) -> None:
        self._num_bytes -= private.num_bytes(self._kept.pop(key).value)


FIRST_STATISTICS = FirstStatistics()


def install() -> None:
    """Follow the variables of Keras; once a process."""
    hook(keras_private.owner_of(keras.Variable, "assign"), "assign", _assign)


def _assign(plain: Any) -> Any:
    def assign(variable: Any, value: Any) -> Any:
        if observer_here() is None and not torch.compiler.is_compiling():
            FIRST_STATISTICS.assigning(variable)
        return plain(variable, value)

    return assign
