"""The calls that the hooks in PyTorch lead to: for healthy steps, a bad step, a step made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal, Protocol, TypeAlias

import torch

from stayfinite.frameworks.torch.plain.again import Again
from stayfinite.frameworks.torch.plain.step_data import NotedStep
from stayfinite.frameworks.torch.plain.steps import Applied, StepPlace

What = Literal["gradients", "loss", "buffers", "update", "scale"]
# A number where it is on the host.
Loss: TypeAlias = torch.Tensor | float


@dataclass(frozen=True)
class BadStep:
    """A step that is not to be applied, while its frames are still running.

    Attributes:
        what: What is not finite: a gradient, the loss alone, a buffer, or the state after the
            update. With "scale", gradients that a loss scale of at most 1 did not make finite.
        optimizer: The optimizer that was to be applied.
        loss: The loss; the first one that is not finite where there are several.
        place: The loop around the step; None where there is none with a source.
        frame: The innermost frame.
        began: What was noted when the iteration began.
        num_updates: Updates by the same optimizer since then.
        scaler: The `GradScaler` that applies the optimizer, if one does.
        again: How the step is made again, where it is known without the source of a loop.
        was_made: Whether the listener was called for the step as a finite one.
        is_applied_next: Whether the optimizer is applied if the listener returns True; if not, the
            update is over, or a loss scale has left it out.
        gradients: By the identity of a parameter, the gradients of the first evaluation, where the
            optimizer has made others since then; None where the parameters have them.
        num_undone: How many updates of other optimizers, by gradients of the same backward passes,
            were made before it and are undone.
    """

    what: What
    optimizer: torch.optim.Optimizer
    loss: Loss | None
    place: StepPlace | None
    frame: FrameType | None
    began: Applied | None
    num_updates: int
    scaler: Any
    again: Again | None = None
    was_made: bool = False
    is_applied_next: bool = True
    gradients: Mapping[int, torch.Tensor] | None = None
    num_undone: int = 0


class Listener(Protocol):
    """Is called for the steps."""

    takes_finite_steps: bool
    """Whether a finite step is handed over as a bad one is, and applied whatever it returns."""

    def made(
        self,
        optimizer: torch.optim.Optimizer,
        place: StepPlace | None,
        loss: Loss | None,
        noted: NotedStep | None = None,
    ) -> None:
        """A step is finite and is about to be applied; `noted`: its data, where they are known."""
        ...

    def bad(self, step: BadStep) -> bool:
        """A step is bad; returns whether it is to be applied all the same. May raise."""
        ...

    def applied_in_backward(self) -> None:
        """An optimizer was applied inside a backward pass, which no step can be made of."""
        ...


class Replayer(Protocol):
    """Is called instead while a step is made again."""

    def draw(self) -> Any:
        """The batch that a loader gives."""
        ...

    def differentiating(self, root: Any) -> None:
        """A backward pass begins."""
        ...

    def scaled(self, loss: Any, result: Any) -> None:
        """A `GradScaler` has scaled a loss."""
        ...

    def updating(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer is about to be applied to the gradients that its parameters have."""
        ...

    def updated(self, optimizer: torch.optim.Optimizer, *, skipped: bool) -> None:
        """An optimizer was applied, or left out by a `GradScaler`."""
        ...
