"""A bad step made once more, so that its loop goes on as if it had been finite.

The loop is inside the step: an optimizer is about to be applied. The iteration is made again from
its beginning, with the remedy or the repaired source. Then the weights get its gradients, and the
names of the running frames get its values: the loss that the loop adds up is the one of this run.
Buffers, random generators and the verdict of a `GradScaler` are as this run has left them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from stayfinite.frameworks.frames import all_values_of, bind, user_frames
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.frameworks.torch.engine import StepWatcher
from stayfinite.frameworks.torch.plain import private, verdict
from stayfinite.frameworks.torch.plain.again import Making, StepMade
from stayfinite.frameworks.torch.plain.data import LoopData
from stayfinite.frameworks.torch.plain.optimizer import TorchOptimizer, parameters_of
from stayfinite.frameworks.torch.plain.steps import StepPlace, is_total
from stayfinite.frameworks.torch.private import dense_values


class CannotResumeError(CannotRemakeError):
    """The loop cannot go on with a step made again."""


@dataclass(frozen=True)
class Bound:
    """The names of one running frame, with the values that the step made again has for them."""

    frame: FrameType
    values: Mapping[str, object]


class TakenStep(Making):
    """Runs up to the update, and takes what the loop needs to go on; a `listeners.Replayer`.

    Args:
        optimizer: The optimizer of the failing step.
        num_updates: Its updates before that, in the same iteration, that are left out.
        data: Has the batches that loaders give.
        optimizers: Every optimizer of the loop.
        scaler: The `GradScaler` of the step; None if it has none.
        running: The running frames of the user at the bad step, innermost first, whose names get
            the values of this run; empty where a trainer makes the step.
        place: The loop around the step, if one is.
    """

    def __init__(
        self,
        optimizer: TorchOptimizer,
        num_updates: int,
        data: LoopData,
        optimizers: Sequence[torch.optim.Optimizer],
        scaler: Any,
        running: Sequence[FrameType],
        place: StepPlace | None,
    ) -> None:
        self._losses = StepWatcher()
        super().__init__(optimizer, num_updates, self._losses, {}, data)
        self._of_step = optimizer.inner
        self._optimizers = list(optimizers)
        self._scaler = scaler
        self._running = list(running)
        self._place = place
        self._gradients: list[tuple[torch.Tensor, torch.Tensor | None]] = []
        self._overflows: dict[torch.device, torch.Tensor] = {}
        self._bound: list[Bound] = []
        self._totals: list[tuple[torch.Tensor, torch.Tensor]] = []

    def updating(self, optimizer: torch.optim.Optimizer) -> None:
        """Takes gradients and names before the update of the failing step, and ends the run."""
        super().updating(optimizer)
        if not self._is_last:
            return
        for each in self._optimizers:
            self._gradients += [(parameter, parameter.grad) for parameter in parameters_of(each)]
        if self._scaler is not None:
            found = private.overflows_of(self._scaler, optimizer)
            self._overflows = {device: value.clone() for device, value in found.items()}
        self._bound = self._values_of_frames(sys._getframe(1))
        raise StepMade

    @property
    def loss(self) -> torch.Tensor | None:
        """The loss of the step made again."""
        loss: torch.Tensor | None = self._losses.loss
        return loss

    def require_finite(self) -> None:
        """Check that the step may be applied.

        Raises:
            CannotResumeError: the run has made no update, or one that is not finite.
        """
        if not self._gradients:
            raise CannotResumeError(WhyNot(Obstacle.NO_UPDATE_AGAIN))
        given = [
            dense_values(gradient) if gradient.is_sparse else gradient
            for _, gradient in self._gradients
            if gradient is not None
        ]
        has_loss = self.loss is None or verdict.is_finite(self.loss)
        if not has_loss or not verdict.all_finite(given):
            raise CannotResumeError(WhyNot(Obstacle.NON_FINITE_AGAIN))

    def give(self) -> None:
        """Give the gradients to the weights, and the values to the names of the running frames."""
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        if self._scaler is not None:
            found = private.overflows_of(self._scaler, self._of_step)
            for device, value in self._overflows.items():
                found[device].copy_(value)
        for bound in self._bound:
            bind(bound.frame, bound.values)
        with torch.no_grad():
            for total, value in self._totals:
                total.copy_(value)

    def _values_of_frames(self, innermost: FrameType) -> list[Bound]:
        """The names of the frames of this run, for the running frames that they stand for."""
        found = []
        made = user_frames(innermost)
        place = self._place
        for running in self._running:
            frame = next(made, None)
            if frame is None or frame is self._running[0]:
                break
            if frame.f_code.co_qualname != running.f_code.co_qualname:
                break
            values = all_values_of(frame)
            if place is not None and running is place.frame:
                names = place.loop.bound | {*place.loop.targets}
                found.append(Bound(running, {n: v for n, v in values.items() if n in names}))
                written = [values.get(name) for name in place.loop.written]
                self._totals = [(value, value.clone()) for value in written if is_total(value)]
                break
            found.append(Bound(running, values))
        return found
