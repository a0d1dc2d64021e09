"""The losses that were differentiated since the last update."""

from __future__ import annotations

import math

import torch

from stayfinite.frameworks.torch.plain import verdict
from stayfinite.frameworks.torch.plain.listeners import Loss
from stayfinite.frameworks.torch.plain.optimizer import dense_gradient, parameters_of
from stayfinite.frameworks.torch.plain.trained import TrainedByOptimizer

_MAX_LOSSES = 64


class NotedLosses:
    """Losses in the order of their backward passes.

    A program may discard the gradients of a pass, as where it finds them non-finite. Its loss is
    then none of the losses of the update that comes next.
    """

    def __init__(self) -> None:
        self._losses: list[Loss] = []
        # By the identity of an optimizer: how many of the losses it has no gradient of.
        self._num_discarded: dict[int, int] = {}

    @property
    def last(self) -> Loss | None:
        """The last one, if any."""
        return self._losses[-1] if self._losses else None

    def begin_pass(self, trained: TrainedByOptimizer) -> None:
        """A backward pass begins: losses whose gradients are gone by now are noted as such."""
        if not any(type(loss) is float and not math.isfinite(loss) for loss in self._losses):
            return
        for optimizer in trained.optimizers():
            gradients = [dense_gradient(each) for each in parameters_of(optimizer)]
            if not any(each is not None and each.any() for each in gradients):
                self._num_discarded[id(optimizer)] = len(self._losses)

    def add(self, loss: torch.Tensor) -> None:
        """`loss` is differentiated."""
        if len(self._losses) == _MAX_LOSSES:
            return
        # A tensor that is kept would take memory of its own in each of the next steps.
        is_number = type(loss) is torch.Tensor and loss.is_cpu and loss.numel() == 1
        value = loss.item() if is_number else None
        self._losses.append(value if isinstance(value, float) else loss.detach())

    def bad_of(self, optimizer: torch.optim.Optimizer) -> Loss | None:
        """The first one that is not finite, whose gradients `optimizer` may have."""
        for loss in self._losses[self._num_discarded.get(id(optimizer), 0) :]:
            if not (math.isfinite(loss) if type(loss) is float else verdict.is_finite(loss)):
                return loss
        return None

    def clear(self) -> None:
        """The update was made."""
        self._losses.clear()
        self._num_discarded.clear()
