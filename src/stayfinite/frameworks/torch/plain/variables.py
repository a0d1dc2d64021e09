"""Tensors of modules and optimizers as the variables of a state."""

from __future__ import annotations

from typing import Any

import torch

from stayfinite.frameworks.torch import private


class TorchVariable:
    """One tensor of a state under its path; a `Variable`.

    It holds the tensor as a Keras variable does, so that `private.tensor_of` reads both.
    """

    def __init__(self, path: str, tensor: torch.Tensor) -> None:
        self.path = path
        self._value = tensor

    def assign(self, value: Any) -> None:
        """Copy `value` to the tensor."""
        tensor = private.tensor_of(self)
        with torch.no_grad():
            tensor.copy_(torch.as_tensor(value, device=tensor.device))
