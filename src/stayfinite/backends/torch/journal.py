"""The old values of what a step writes to, for as long as the step may turn out to be bad."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from stayfinite.backends.torch import private


class Journal:
    """Tensors with the value that each had when it was first written to in this step."""

    def __init__(self) -> None:
        self._old: dict[int, tuple[Any, Any]] = {}

    def __len__(self) -> int:
        return len(self._old)

    def save(self, tensor: Any) -> None:
        """Keep the value that `tensor` has now, unless an older one is kept."""
        if id(tensor) not in self._old:
            self._old[id(tensor)] = (tensor, tensor.detach().clone())

    def save_all(self, variables: Iterable[Any]) -> None:
        """`save` the tensor of each Keras variable."""
        for variable in variables:
            self.save(private.tensor_of(variable))

    def old(self, tensor: Any) -> Any:
        """The value that `tensor` had; None where it has not been saved."""
        return self._old[id(tensor)][1] if id(tensor) in self._old else None

    def written(self) -> list[Any]:
        """The tensors, in the order in which they came."""
        return [tensor for tensor, _ in self._old.values()]

    def restore(self, choose: Callable[[Any, Any], Any] = lambda old, new: old) -> None:
        """Set every tensor to its old value, or to what `choose(old, new)` gives."""
        with torch.no_grad():
            for tensor, old in self._old.values():
                tensor.copy_(choose(old, tensor))

    def clear(self) -> None:
        """Forget all, and with it the memory."""
        self._old.clear()
