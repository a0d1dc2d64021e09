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

    Attributes:
        last: The last one, if any.
        are_finite: Whether all are known to be finite.
    """

    def __init__(self) -> None:
        self.last: Loss | None = None
        self.are_finite = True
        self._losses: list[Loss] = []
        # By the identity of an optimizer: how many of the losses it has no gradient of.
        self._num_discarded: dict[int, int] = {}

    def began_pass(self, loss: object, trained: TrainedByOptimizer) -> None:
        """A backward pass begins at `loss`: its value is kept if it is a tensor."""
        if not self.are_finite:
            self._note_discarded(trained)
        losses = self._losses
        if not isinstance(loss, torch.Tensor) or len(losses) == _MAX_LOSSES:
            return
        # A tensor that is kept would take memory of its own in each of the next steps.
        is_number = type(loss) is torch.Tensor and loss.is_cpu and loss.numel() == 1
        value = loss.item() if is_number else None
        if not isinstance(value, float):
            value = loss.detach()
            self.are_finite = False
        elif not math.isfinite(value):
            self.are_finite = False
        self.last = value
        losses.append(value)

    def _note_discarded(self, trained: TrainedByOptimizer) -> None:
        """Note the losses whose gradients are gone by now."""
        if not any(type(loss) is float and not math.isfinite(loss) for loss in self._losses):
            return
        for optimizer in trained.optimizers():
            gradients = [dense_gradient(each) for each in parameters_of(optimizer)]
            if not any(each is not None and each.any() for each in gradients):
                self._num_discarded[id(optimizer)] = len(self._losses)

    def bad_of(self, optimizer: torch.optim.Optimizer) -> Loss | None:
        """The first one that is not finite, whose gradients `optimizer` may have."""
        for loss in self._losses[self._num_discarded.get(id(optimizer), 0) :]:
            if not (math.isfinite(loss) if type(loss) is float else verdict.is_finite(loss)):
                return loss
        return None

    def clear(self) -> None:
        """The update was made."""
        self.last = None
        self._losses.clear()
        if not self.are_finite:
            self.are_finite = True
            self._num_discarded.clear()
