"""The `Trainer` of Hugging Face transformers, and what is derived from it, such as those of TRL.

Its training step is forward and backward pass of one batch. Before the update it clips gradients
by their norm, with a method of Accelerate.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from stayfinite.frameworks.torch.plain.private import required
from stayfinite.frameworks.torch.plain.trainers.calls import Closure, TrainerCalls


def hook(module: Any, calls: TrainerCalls) -> None:
    """Note each call of `Trainer.training_step` of `transformers.trainer`.

    Raises:
        CannotGuardError: the class has no such method.
    """
    owner = module.Trainer
    plain = required(owner, "training_step")

    @functools.wraps(plain)
    def training_step(trainer: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        calls.called(_Call(trainer, plain, model, inputs, args, kwargs))
        return plain(trainer, model, inputs, *args, **kwargs)

    owner.training_step = training_step


class _Call:
    """One `training_step`."""

    def __init__(
        self,
        trainer: Any,
        method: Any,
        model: Any,
        inputs: object,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self._trainer = trainer
        self._method = method
        self._model = model
        self.batch = inputs
        self._args = args
        self._kwargs = kwargs

    @property
    def described(self) -> str:
        """Named after the class of the trainer: `Trainer.training_step`."""
        return f"{type(self._trainer).__name__}.training_step"

    def accumulate(self, batch: object) -> None:
        """Run the training step on another batch."""
        self._method(self._trainer, self._model, batch, *self._args, **self._kwargs)

    def apply(
        self,
        batch: object,
        optimizer: torch.optim.Optimizer,
        closure: Closure | None,
    ) -> None:
        """Run it, clip as the arguments of the training say, and apply the optimizer."""
        self.accumulate(batch)
        accelerator = self._trainer.accelerator
        largest = self._trainer.args.max_grad_norm
        if largest is not None and largest > 0:
            accelerator.clip_grad_norm_(self._model.parameters(), largest)
        self._trainer.optimizer.step()
