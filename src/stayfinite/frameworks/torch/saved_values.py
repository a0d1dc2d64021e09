"""The old values of the tensors that a step writes to, until the step is known to be good."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from stayfinite.frameworks.torch import private


class SavedValues:
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
        tensors = [private.tensor_of(variable) for variable in variables]
        fresh = {id(t): t for t in tensors if id(t) not in self._old}
        for alike in private.alike(fresh.values()):
            for tensor, old in zip(alike, private.copies(alike), strict=True):
                self._old[id(tensor)] = (tensor, old)

    def holds(self, variable: Any) -> bool:
        """Whether the tensor of a Keras variable has been saved."""
        return id(private.tensor_of(variable)) in self._old

    def old(self, tensor: Any) -> Any:
        """The value that `tensor` had; None where it has not been saved."""
        return self._old[id(tensor)][1] if id(tensor) in self._old else None

    def written(self) -> list[Any]:
        """The tensors, in the order in which they came."""
        return [tensor for tensor, _ in self._old.values()]

    def restore(self) -> None:
        """Set every tensor to its old value."""
        with torch.no_grad():
            for tensor, old in self._old.values():
                tensor.copy_(old)

    def restore_unless(self, good: Any) -> None:
        """`restore` if `good`, a boolean tensor, is false; the host does not wait.

        The old values are overwritten.
        """
        for alike in private.alike(self.written()):
            private.choose(good, alike, [self.old(tensor) for tensor in alike])

    def clear(self) -> None:
        """Drop all values, which frees their memory."""
        self._old.clear()
