"""The whole state of a model as lists of tensors, in the order that all backends share."""

from __future__ import annotations

from typing import Any

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.torch import private, random


class LastGood(list[list[Any]]):
    """A state: values of trainable, non-trainable, optimizer and metric variables.

    `random` is the random state that goes with it: plain PyTorch draws dropout from a state of
    its own, which no variable holds.
    """

    def __init__(self, groups: list[list[Any]], random: random.State) -> None:
        super().__init__(groups)
        self.random = random


def values_of(model: Any, *, device: str | None = None) -> LastGood:
    """Copies of the present values, where they are or on `device`, and the random state of now."""
    groups = keras_private.state_variables(model)
    values = [[_copied(private.tensor_of(v), device) for v in group] for group in groups]
    return LastGood(values, random.now())


def num_bytes_of(model: Any) -> int:
    """How much memory such a copy takes."""
    groups = keras_private.state_variables(model)
    return sum(int(private.tensor_of(v).nbytes) for group in groups for v in group)


def _copied(tensor: Any, device: str | None) -> Any:
    own = tensor.detach()
    return own.to(device, copy=True) if device is not None else own.clone()
