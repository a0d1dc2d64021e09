"""Optimizers that are applied one after another to gradients of the same backward passes.

A later one of them may be given a gradient that is not finite while those of the earlier ones are
finite. The step can only be made again from the weights that it was made with, so the earlier
updates are undone then.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from stayfinite.frameworks.torch.plain import verdict
from stayfinite.frameworks.torch.plain.listeners import Loss
from stayfinite.frameworks.torch.plain.optimizer import copied, gradients_of, parameters_of
from stayfinite.frameworks.torch.private import num_bytes

# Optimizers whose state is copied before an update that is not known to be finite.
MAX_COPIED_BYTES = 64 * 2**20

_Optimizer = weakref.ref[torch.optim.Optimizer]


class UpdateCopy:
    """What an update of an optimizer writes to, as it was.

    Attributes:
        optimizer: The optimizer.
        has_room: Whether its tensors are small enough to be copied.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        tensors = verdict.state_of_update(optimizer)
        self.optimizer = optimizer
        self.has_room = sum(map(num_bytes, tensors)) <= MAX_COPIED_BYTES
        self._old = [(t, t.detach().clone()) for t in tensors] if self.has_room else []
        self._state = {parameter: copied(own) for parameter, own in optimizer.state.items()}

    def restore(self) -> None:
        """Put it back."""
        with torch.no_grad():
            for tensor, old in self._old:
                tensor.copy_(old)
        self.optimizer.state.clear()
        self.optimizer.state.update(self._state)


@dataclass(frozen=True)
class Undone:
    """Updates that were undone.

    Attributes:
        made: What their optimizers had written, in the order of the updates.
    """

    made: Sequence[UpdateCopy] = ()

    def redo(self) -> None:
        """Have them made after all."""
        for each in self.made:
            each.restore()

    def discard(self) -> None:
        """Take away the gradients that they were made with."""
        for each in self.made:
            discard_gradients(each.optimizer)


class JointUpdates:
    """Notes which optimizers are applied to the same gradients, and copies what may be undone.

    The copies are made only where an optimizer that followed in the steps before has a gradient
    that is not finite.

    Attributes:
        loss: The loss of the gradients, as long as no other is differentiated.
    """

    def __init__(self) -> None:
        # Since the last backward pass.
        self._applied: list[_Optimizer] = []
        # By the identity of the first one: those that followed when it was applied last.
        self._followers: dict[int, list[_Optimizer]] = {}
        self._copies: list[UpdateCopy] = []
        self._is_copying = False
        self.loss: Loss | None = None

    def differentiated(self) -> None:
        """A backward pass begins."""
        if not self._applied:
            return
        first = self._applied[0]()
        if first is not None:
            self._followers[id(first)] = self._applied[1:]
        self._applied = []
        self._copies, self._is_copying = [], False
        self.loss = None

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        """`optimizer` is about to be applied to gradients that are finite."""
        if not self._applied:
            followers = [each() for each in self._followers.get(id(optimizer), ())]
            self._is_copying = _have_bad_gradients([each for each in followers if each is not None])
        if self._is_copying:
            copy = UpdateCopy(optimizer)
            self._copies.append(copy)
            if not copy.has_room:
                self._copies, self._is_copying = [], False

    def applied(self, optimizer: torch.optim.Optimizer, loss: Loss | None) -> None:
        """`optimizer` was applied to gradients of `loss`, or of the one before if it is None."""
        self.loss = self.loss if loss is None else loss
        self._applied.append(weakref.ref(optimizer))

    def undo(self) -> Undone:
        """Undo the updates since the last backward pass, if they were copied."""
        copies, self._copies, self._is_copying = self._copies, [], False
        made = [UpdateCopy(each.optimizer) for each in copies]
        for each in reversed(copies):
            each.restore()
        return Undone(made)


def discard_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Take away the gradients of an optimizer, so that it changes nothing."""
    for parameter in parameters_of(optimizer):
        parameter.grad = None


def _have_bad_gradients(optimizers: Sequence[torch.optim.Optimizer]) -> bool:
    gradients = [gradient for each in optimizers for gradient in gradients_of(each)]
    if not gradients or math.isfinite(verdict.bound_of(gradients)):
        return False
    return not verdict.all_finite(gradients)
