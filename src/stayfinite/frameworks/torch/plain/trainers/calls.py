"""The calls of a trainer that make up one step, and the step made again by them."""

from __future__ import annotations

import collections
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch

from stayfinite.frameworks.frames import user_frames
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.torch.plain.calls import CalledStep
from stayfinite.frameworks.torch.plain.data import Iteration, LoopData
from stayfinite.frameworks.torch.plain.randomness import GeneratorNotes, Generators
from stayfinite.frameworks.torch.plain.steps import Applied, versions_of

# Calls of one step that are kept; a step of more is not made again.
MAX_CALLS = 256

# The name of a batch that has no names of its own.
_BATCH = "batch"

Closure = Callable[[], Any]


class TrainerCall(Protocol):
    """One call of a trainer, on one batch.

    Attributes:
        batch: The batch, a structure of tensors.
    """

    @property
    def described(self) -> str:
        """What is called: `Trainer.training_step`."""
        ...

    @property
    def trainer(self) -> object | None:
        """The trainer, if its arguments are in `args`, and what it has read of them in itself."""
        ...

    batch: object

    def accumulate(self, batch: object) -> None:
        """Add the gradients of a batch to those that are there."""
        ...

    def apply(
        self,
        batch: object,
        optimizer: torch.optim.Optimizer,
        closure: Closure | None,
    ) -> None:
        """Do the same, then what the trainer does up to the update, and the update.

        Args:
            batch: A batch.
            optimizer: The optimizer of PyTorch that was applied.
            closure: What it was given to compute the loss; None if it was given nothing.
        """
        ...


@dataclass(frozen=True)
class _Noted:
    call: TrainerCall
    iteration: Iteration
    versions: tuple[int, ...]


@dataclass
class TrainerCalls:
    """The calls since the last step, oldest first.

    Attributes:
        generators: Reads the random generators at each call.
        is_noting: Whether calls are noted; not while a step is made again.
        last_update: What was noted of the last update.
        began: What had been noted of the last update when the first of the calls came.
        noted: The calls.
    """

    generators: GeneratorNotes
    is_noting: Callable[[], bool]
    last_update: Callable[[], Applied | None]
    began: Applied | None = None
    noted: list[_Noted] = field(default_factory=list)
    _updates: collections.Counter[int] = field(default_factory=collections.Counter)
    _num_lost: int = 0

    def called(self, call: TrainerCall) -> None:
        """Note a call. The first one after an update begins a step."""
        if not self.is_noting():
            return
        if self._updates:
            self.forget()
        if len(self.noted) >= MAX_CALLS:
            self.noted.pop(0)
            self._num_lost += 1
        if not self.noted:
            self.began = self.last_update()
        iteration = Iteration({}, {_BATCH: call.batch}, self.generators.now())
        self.noted.append(_Noted(call, iteration, versions_of(call.batch)))

    def forget(self) -> None:
        """No call belongs to the next step."""
        self.noted.clear()
        self._updates.clear()
        self._num_lost = 0

    def updated(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer was applied."""
        if self.noted:
            self._updates[id(optimizer)] += 1

    @property
    def first_generators(self) -> Generators | None:
        """The random generators when the first call came."""
        return self.noted[0].iteration.generators if self.noted else None

    def num_updates(self, optimizer: torch.optim.Optimizer) -> int:
        """Updates by `optimizer` in the present step."""
        return self._updates[id(optimizer)]

    def __bool__(self) -> bool:
        return bool(self.noted)

    def data(self) -> LoopData:
        """The batches of the present step."""
        missing = None
        if self._num_lost:
            missing = WhyNot(Obstacle.TOO_MANY_BATCHES, number=MAX_CALLS)
        elif any(versions_of(noted.call.batch) != noted.versions for noted in self.noted):
            missing = WhyNot(Obstacle.TRAINER_WRITES_BATCH)
        return LoopData(tuple(noted.iteration for noted in self.noted), missing)

    def step(
        self, optimizer: torch.optim.Optimizer, closure: Closure | None, innermost: FrameType
    ) -> TrainerStep:
        """The present step, to be made again; `innermost` is the frame that applies `optimizer`."""
        frames = list(user_frames(innermost))
        line = f"{Path(frames[0].f_code.co_filename).name}:{frames[0].f_lineno}" if frames else None
        return TrainerStep([noted.call for noted in self.noted], optimizer, closure, line)


class TrainerStep(CalledStep):
    """The step of a trainer, made by the trainer itself."""

    def __init__(
        self,
        calls: list[TrainerCall],
        optimizer: torch.optim.Optimizer,
        closure: Closure | None,
        line: str | None,
    ) -> None:
        self._calls = calls
        self._line = line
        self._optimizer = optimizer
        self._closure = closure

    @property
    def described(self) -> str:
        """`2 calls of Trainer.training_step under train.py:30`, the user's line."""
        name, num = self._calls[-1].described, len(self._calls)
        called = name if num == 1 else f"{num} calls of {name}"
        return called if self._line is None else f"{called} under {self._line}"

    @property
    def trainer(self) -> object | None:
        """The trainer that makes the calls, if it has arguments."""
        return self._calls[-1].trainer

    def call(self, iteration: Iteration, *, number: int) -> None:
        """Have the trainer make its call on the batch of `iteration`."""
        call, batch = self._calls[number], iteration.batch[_BATCH]
        if number < len(self._calls) - 1:
            call.accumulate(batch)
        else:
            call.apply(batch, self._optimizer, self._closure)
