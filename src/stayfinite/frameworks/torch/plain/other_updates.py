"""The other updates of an iteration, where it is made again beyond the update of the step.

In an adversarial training a fix may leave the step of one network as it was, and change what the
loss of the other one reads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.engine import StepWatcher
from stayfinite.frameworks.torch.plain.optimizer import dense_gradient, parameters_of
from stayfinite.frameworks.torch.plain.variables import TorchVariable


class OtherUpdates:
    """The optimizers beside that of the step, and which of them the runs so far have applied.

    Args:
        optimizers: Every optimizer of the program that is not the one of the step.
        names: The names of the tensors of the step, by identity.
    """

    def __init__(
        self, optimizers: Sequence[torch.optim.Optimizer], names: Mapping[int, str]
    ) -> None:
        self._names = names
        self._present = [o for o in optimizers if names.keys() & {*map(id, parameters_of(o))}]
        self._seen: set[int] = set()

    @property
    def are_there(self) -> bool:
        """Whether another optimizer trains a part of the step."""
        return bool(self._present)

    @property
    def are_complete(self) -> bool:
        """Whether each of the optimizers was applied in a run.

        The batches of a step may end before the last update of its iteration; those of the step of
        that update do not.
        """
        return self._seen.issuperset(map(id, self._present))

    def begin(self) -> UpdatesOfRun:
        """A run of an iteration begins."""
        return UpdatesOfRun(self, {*map(id, self._present)})

    def saw(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer was applied in a run."""
        self._seen.add(id(optimizer))

    def name(self, number: int, parameter: torch.Tensor) -> str:
        """The name of a parameter, which is the one with this number of its optimizer."""
        return self._names.get(id(parameter), f"parameter {number}")


class UpdatesOfRun:
    """Those of one run.

    Args:
        all_runs: Notes what the runs have seen.
        left: The identities of the optimizers that are still to come.
    """

    def __init__(self, all_runs: OtherUpdates, left: set[int]) -> None:
        self._all = all_runs
        self._left = left
        self._loss: Any = None

    @property
    def are_over(self) -> bool:
        """Whether none is still to come."""
        return not self._left

    def differentiating(self, root: Any) -> None:
        """Notes a loss."""
        self._loss = root[0] if isinstance(root, list | tuple) else root

    def updating(self, optimizer: torch.optim.Optimizer, watcher: StepWatcher) -> None:
        """Note loss and gradients of another optimizer, as gradients of the run."""
        self._left.discard(id(optimizer))
        self._all.saw(optimizer)
        pairs = []
        for number, parameter in enumerate(parameters_of(optimizer)):
            gradient = dense_gradient(parameter)
            if gradient is not None:
                name = self._all.name(number, parameter)
                pairs.append((gradient, TorchVariable(name, parameter)))
        if isinstance(self._loss, torch.Tensor) and self._loss.numel() == 1:
            loss = self._loss.detach()
            pairs.append((loss, TorchVariable(f"loss of {type(optimizer).__name__}", loss)))
        note(watcher, optimizer, pairs)


def note(watcher: StepWatcher, optimizer: Any, pairs: list[tuple[Any, TorchVariable]]) -> None:
    """Note gradients of an update after which the run goes on, and may write to them."""
    watcher.note(optimizer, pairs)
    with private.unseen():
        copies = [gradient.clone() for gradient, _ in pairs]
    watcher.updates[-1] = dataclasses.replace(watcher.updates[-1], gradients=copies)
