"""The modules of one optimizer: found once, when it is made or first applied."""

from __future__ import annotations

import weakref
from collections.abc import Mapping

import torch

from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain.modules import all_modules, owners
from stayfinite.frameworks.torch.plain.optimizer import parameters_of

# Buffers are copied after each step, so a module with more of them keeps them.
MAX_BUFFER_BYTES = 64 * 2**20


class Trained:
    """The outermost modules that own the parameters of an optimizer.

    Only the buffers that a step writes to are copied: the first copies show which.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = weakref.ref(optimizer)
        self.roots: list[torch.nn.Module] = owners(parameters_of(optimizer), all_modules())
        buffers = {id(b): b for root in self.roots for b in root.buffers()}
        self._buffers = list(buffers.values())
        self._versions = [private.writes_to(buffer) for buffer in self._buffers]
        self._num_copies = 0

    def is_of(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether these are the modules of `optimizer`, and not of one at the same address."""
        return self.optimizer() is optimizer

    def buffers(self) -> Mapping[int, torch.Tensor]:
        """Copies of the buffers that steps write to, by the identity of the buffer."""
        self._num_copies += 1
        if self._num_copies == 3:
            pairs = zip(self._buffers, self._versions, strict=True)
            self._buffers = [
                buffer for buffer, version in pairs if private.writes_to(buffer) != version
            ]
        if sum(buffer.nbytes for buffer in self._buffers) > MAX_BUFFER_BYTES:
            return {}
        return {id(buffer): buffer.detach().clone() for buffer in self._buffers}
