"""The `Trainer` of Hugging Face transformers, and what is derived from it, such as those of TRL.

Its training step is forward and backward pass of one batch. Before the update it clips gradients
by their norm, with a method of Accelerate.
"""

from __future__ import annotations

import contextlib
import functools
import math
from typing import Any

import torch

from stayfinite.frameworks.attributes import replaced
from stayfinite.frameworks.torch.plain.private import required
from stayfinite.frameworks.torch.plain.trainers.calls import Closure, TrainerCalls
from stayfinite.frameworks.torch.plain.trainers.private import clips_without_bound, num_items

_COUNT = "num_items_in_batch"


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
        self._before = dict(vars(trainer))

    @property
    def described(self) -> str:
        """Named after the class of the trainer: `Trainer.training_step`."""
        return f"{type(self._trainer).__name__}.training_step"

    @property
    def trainer(self) -> object | None:
        """The trainer."""
        trainer: object = self._trainer
        return trainer

    @functools.cached_property
    def _advanced(self) -> dict[str, object]:
        """Attributes that the trainer has replaced since the call, with their values before it.

        Trainers of TRL count their steps, which says when they generate and what of it they take.
        Read at the first run, which is the step as it was.
        """
        now = vars(self._trainer)
        return {n: v for n, v in self._before.items() if n in now and now[n] is not v}

    def accumulate(self, batch: object) -> None:
        """Run the training step on another batch."""
        with contextlib.ExitStack() as stack:
            for name, value in self._advanced.items():
                stack.enter_context(replaced(self._trainer, name, value))
            args, kwargs = self._arguments(batch)
            self._method(self._trainer, self._model, batch, *args, **kwargs)

    def _arguments(self, batch: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The other arguments; the number of labels that the loss divides by is that of `batch`."""
        given = self._args[0] if self._args else self._kwargs.get(_COUNT)
        if given is None:
            return self._args, self._kwargs
        before, now = (num_items(self._trainer, each) for each in (self.batch, batch))
        if before is None or now is None or bool(before == now):
            return self._args, self._kwargs
        # With accumulation the number is that of several batches.
        count = given + (now - before)
        if self._args:
            return (count, *self._args[1:]), self._kwargs
        return self._args, {**self._kwargs, _COUNT: count}

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
        if largest is None or largest <= 0:
            largest = math.inf if clips_without_bound(self._trainer) else None
        if largest is not None:
            accelerator.clip_grad_norm_(self._model.parameters(), largest)
        self._trainer.optimizer.step()
