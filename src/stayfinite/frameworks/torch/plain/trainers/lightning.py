"""The `Trainer` of Lightning.

With automatic optimization the optimizer is given a closure that runs the training step, the
backward pass and the clipping. Where gradients are accumulated, the closures of the batches before
are called without an optimizer. With manual optimization all of this is in the training step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, MutableMapping
from typing import Any

import torch

from stayfinite.frameworks.torch.plain.trainers import private
from stayfinite.frameworks.torch.plain.trainers.calls import Closure, TrainerCalls

_BATCH = "batch"


def hook_automatic(module: Any, calls: TrainerCalls) -> None:
    """Note each closure that automatic optimization makes, with the batch that it was made for.

    Raises:
        CannotGuardError: the release lacks a name that is needed.
    """

    def made(kwargs: Any, closure: Closure) -> None:
        if isinstance(kwargs, MutableMapping) and _BATCH in kwargs:
            calls.called(_Automatic(kwargs, closure))

    private.hook_closures(module, made)


def hook_manual(module: Any, calls: TrainerCalls) -> None:
    """Note each training step of manual optimization.

    Raises:
        CannotGuardError: the release lacks a name that is needed.
    """

    def running(kwargs: Any, run: Closure) -> None:
        if isinstance(kwargs, MutableMapping) and _BATCH in kwargs:
            calls.called(_Manual(kwargs, run))

    private.hook_manual_steps(module, running)


class _Manual:
    """One training step of the user's that applies optimizers by itself.

    Args:
        kwargs: The arguments of `training_step` by name.
        run: Runs it with what `kwargs` has then.
    """

    described = "LightningModule.training_step"
    # The module of the user has its settings under names of its own.
    trainer = None

    def __init__(self, kwargs: MutableMapping[str, Any], run: Closure) -> None:
        self.batch: object = kwargs[_BATCH]
        self._kwargs = kwargs
        self._run = run

    def accumulate(self, batch: object) -> None:
        """Run it with another batch; its backward passes add to the gradients."""
        with _given(self._kwargs, batch):
            self._run()

    def apply(
        self,
        batch: object,
        optimizer: torch.optim.Optimizer,
        closure: Closure | None,
    ) -> None:
        """Run it."""
        self.accumulate(batch)


class _Automatic(_Manual):
    """The closure of one batch, which runs `training_step` and the backward pass."""

    def apply(
        self,
        batch: object,
        optimizer: torch.optim.Optimizer,
        closure: Closure | None,
    ) -> None:
        """Apply the optimizer to the closure that it was given, which clips as well."""
        with _given(self._kwargs, batch):
            if closure is None:
                self._run()
                optimizer.step()
            else:
                optimizer.step(closure)


@contextlib.contextmanager
def _given(kwargs: MutableMapping[str, Any], batch: object) -> Iterator[None]:
    """Inside the block the arguments of a training step have another batch."""
    outer, kwargs[_BATCH] = kwargs[_BATCH], batch
    try:
        yield
    finally:
        kwargs[_BATCH] = outer
