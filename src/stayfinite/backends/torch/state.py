"""The whole state of a model as lists of tensors, in the order that all backends share."""

from __future__ import annotations

from typing import Any

from stayfinite.backends import keras_private
from stayfinite.backends.torch import private, random


class LastGood(list[list[Any]]):
    """A state: values of trainable, non-trainable, optimizer and metric variables.

    `random` is the random state that goes with it: plain PyTorch draws dropout from a state of
    its own, which no variable holds.
    """

    def __init__(self, groups: list[list[Any]], random: random.State) -> None:
        super().__init__(groups)
        self.random = random


def values_of(model: Any) -> LastGood:
    """Copies of the present values, and the random state of this moment."""
    groups = keras_private.state_variables(model)
    values = [[private.tensor_of(v).detach().clone() for v in group] for group in groups]
    return LastGood(values, random.now())
