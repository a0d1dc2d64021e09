"""The modules of each optimizer: found once, when it is made or first applied."""

from __future__ import annotations

import weakref

import torch

from stayfinite.frameworks.torch.plain import private, private_modules, sharded
from stayfinite.frameworks.torch.plain.modules import living, owners
from stayfinite.frameworks.torch.plain.optimizer import parameters_of
from stayfinite.frameworks.torch.plain.verdict import UpdateProof

# Modules with more buffers than this keep what a bad step has written to them. Variables of Keras
# are looked at as far as there is room beside the buffers.
MAX_BUFFER_BYTES = 64 * 2**20
# So many steps show which buffers are written to. Their counts of writes do not: those of the
# statistics of a batch normalization stay as they are.
_LEARNING = (3, 30)


class Trained:
    """The outermost modules that own the parameters of an optimizer.

    Only the buffers that steps write to are copied: the first steps show which. Moving
    statistics and seeds of Keras, which are parameters, are among them. Other parameters without
    gradients are not: loops write to a moving average of a network between two steps.

    Attributes:
        optimizer: The optimizer.
        roots: The modules.
        proof: Whether its updates need no check.
        is_flattened: Whether a `FullyShardedDataParallel` holds the parameters.
        written: The buffers that steps write to, as far as it is known.
        statistics: Those of them that can hold a NaN and are saved with their modules. Others are
            scratch memory.
        is_learning: Whether `step_ended` is to be called.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = weakref.ref(optimizer)
        self.roots: list[torch.nn.Module] = owners(
            parameters_of(optimizer), living(torch.nn.Module)
        )
        maybe_written = _maybe_written(self.roots)
        self._all = [(b, b.detach().clone()) for b in maybe_written]
        modules = [module for root in self.roots for module in root.modules()]
        unsaved = {
            id(buffer) for each in modules for buffer in private_modules.unsaved_buffers(each)
        }
        self._saved = {id(buffer) for buffer in maybe_written}.difference(unsaved)
        self._found(maybe_written)
        self.proof = UpdateProof(optimizer)
        self.is_flattened = sharded.is_flattened(parameters_of(optimizer))
        self._num_steps = 0
        self.is_learning = bool(self._all)

    def step_ended(self) -> None:
        """Note which buffers a step has written to."""
        self._num_steps += 1
        if self._num_steps in _LEARNING:
            self._found([buffer for buffer, first in self._all if _differ(buffer, first)])
        if self._num_steps == _LEARNING[-1]:
            self._all, self.is_learning = [], False

    def buffers(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The buffers that steps write to, each with a copy."""
        return [(buffer, buffer.detach().clone()) for buffer in self.written]

    def _found(self, written: list[torch.Tensor]) -> None:
        self.written = written
        self.statistics = [b for b in written if b.is_floating_point() and id(b) in self._saved]


class TrainedByOptimizer:
    """What each optimizer of the process trains.

    Attributes:
        by_identity: What was found, by the identity of the optimizer, which may be gone.
    """

    def __init__(self) -> None:
        self.by_identity: dict[int, Trained] = {}

    def of(self, optimizer: torch.optim.Optimizer) -> Trained:
        """The modules that `optimizer` trains."""
        found = self.by_identity.get(id(optimizer))
        if found is None or found.optimizer() is not optimizer:
            found = self.by_identity[id(optimizer)] = Trained(optimizer)
        return found

    def find_again(self, optimizer: torch.optim.Optimizer) -> None:
        """Find what `optimizer` trains once more, if it was found before."""
        found = self.by_identity.get(id(optimizer))
        if found is not None and found.optimizer() is optimizer:
            self.by_identity[id(optimizer)] = Trained(optimizer)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Every live optimizer that was made or applied."""
        found = [trained.optimizer() for trained in self.by_identity.values()]
        return [optimizer for optimizer in found if optimizer is not None]

    @property
    def has_written(self) -> bool:
        """Whether there are buffers that steps write to."""
        return any(trained.written for trained in self.by_identity.values())

    def buffers(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The buffers of the modules of every optimizer, each with a copy."""
        found: list[tuple[torch.Tensor, torch.Tensor]] = []
        for trained in self.by_identity.values():
            if trained.written and trained.optimizer() is not None:
                found += trained.buffers()
        return found

    def statistics(self) -> list[torch.Tensor]:
        """Of the buffers that steps write to, those that are judged."""
        found: list[torch.Tensor] = []
        for trained in self.by_identity.values():
            if trained.written and trained.optimizer() is not None:
                found += trained.statistics
        return found


def _maybe_written(roots: list[torch.nn.Module]) -> list[torch.Tensor]:
    """Buffers, and statistics of Keras, the smallest first, as far as there is room."""
    buffers = list({id(b): b for root in roots for b in root.buffers()}.values())
    room = MAX_BUFFER_BYTES - sum(buffer.nbytes for buffer in buffers)
    if room < 0:
        return []
    of_keras = {id(p): p for root in roots for p in private.keras_statistics(root)}
    for parameter in sorted(of_keras.values(), key=lambda each: each.nbytes):
        room -= parameter.nbytes
        if room < 0:
            break
        buffers.append(parameter)
    return buffers


def _differ(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape != other.shape or not torch.equal(one, other)
