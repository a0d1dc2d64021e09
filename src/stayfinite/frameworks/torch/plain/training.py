"""The steps of the loops of a program: finite ones are recorded, and bad ones are handed on."""

from __future__ import annotations

from collections.abc import Callable

import torch

from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.state import State
from stayfinite.frameworks.torch.plain.again import NoLoop
from stayfinite.frameworks.torch.plain.bad_steps import BadLoopSteps, mean_of
from stayfinite.frameworks.torch.plain.data import LoopData
from stayfinite.frameworks.torch.plain.found_subject import subject_of
from stayfinite.frameworks.torch.plain.listeners import BadStep, Loss
from stayfinite.frameworks.torch.plain.optimizer import TorchOptimizer
from stayfinite.frameworks.torch.plain.owner import Owner
from stayfinite.frameworks.torch.plain.recent_steps import RecentLoopSteps
from stayfinite.frameworks.torch.plain.remade import RemadeStep
from stayfinite.frameworks.torch.plain.step_data import NotedStep, note_step
from stayfinite.frameworks.torch.plain.steps import StepPlace
from stayfinite.frameworks.torch.plain.subject import TorchLoop
from stayfinite.frameworks.torch.plain.watching import Watching
from stayfinite.frameworks.torch.state import num_bytes_of, state_of


class Training:
    """The `listeners.Listener` that the hooks call.

    Args:
        watching: Has the hooks.
        owner: Handles the bad steps.
        is_of_notebook: Whether a block with its own settings replaces it.
    """

    takes_finite_steps = False

    def __init__(self, watching: Watching, owner: Owner, *, is_of_notebook: bool = False) -> None:
        self._watching = watching
        self._notes = watching.notes
        self._owner = owner
        self.is_of_notebook = is_of_notebook
        self._bad_steps = BadLoopSteps(watching, owner)
        self._recent = RecentLoopSteps(owner.recorder)
        self._next_snapshot = 1

    def made(
        self,
        optimizer: torch.optim.Optimizer,
        place: StepPlace | None,
        loss: Loss | None,
        noted: NotedStep | None = None,
    ) -> None:
        """Record a finite step."""
        recorder = self._owner.recorder
        step = recorder.count.num_steps
        if step >= self._next_snapshot:
            self._take_snapshot(step, optimizer, place)
        self._recent.add(step, self._data(place) if noted is None else noted)
        recorder.count.num_steps = step + 1
        if loss is not None:
            recorder.losses.keep(step, None, loss)

    def bad(self, step: BadStep) -> bool:
        """Have the owner handle a bad step; returns whether it is to be applied all the same."""
        recorder = self._owner.recorder
        recorder.count.num_steps -= step.num_undone
        self._recent.drop(step.num_undone)
        number = recorder.num_steps - step.was_made
        self._recent.hand_over()
        is_loss_alone = step.what == "loss" and step.loss is not None
        if is_loss_alone and not self._owner.bad_loss(number, mean_of(step.loss)):
            self.made(step.optimizer, step.place, None)
            return True
        data = None if step.was_made else self._data(step.place)
        is_applied: bool = self._bad_steps.handle(step, number, data)
        return is_applied

    def applied_in_backward(self) -> None:
        """Report an optimizer that is not guarded to the owner."""
        self._owner.applied_in_backward()

    def _data(self, place: StepPlace | None) -> LoopData | NotedStep:
        """What is known of the data of the present step."""
        data = self._notes.data_of_calls()
        if data is not None:
            return data
        if place is None:
            return LoopData((), WhyNot(Obstacle.NO_LOOP_WITH_SOURCE))
        events, passes = self._notes.events, self._notes.passes.of_step()
        is_complete, since = not events.lost_draws, events.since(place)
        takes = events.takes(since, place.frame_id)
        return note_step(place, since, passes, takes, is_complete=is_complete)

    def _take_snapshot(
        self, step: int, optimizer: torch.optim.Optimizer, place: StepPlace | None
    ) -> None:
        subject = self._subject_for_copies(optimizer, place)
        self._owner.recorder.snapshots.take(
            step,
            first_of_epoch=True,
            num_bytes=lambda: num_bytes_of(subject()),
            copy=lambda: self._snapshot(step, subject()),
            owner=id(optimizer),
            rate=TorchOptimizer(optimizer, {}).learning_rate,
        )
        spacing = self._owner.recorder.snapshots.spacing
        self._next_snapshot = max(self._next_snapshot, step + spacing.min_steps)

    def _subject_for_copies(
        self, optimizer: torch.optim.Optimizer, place: StepPlace | None
    ) -> Callable[[], TorchLoop]:
        def make() -> TorchLoop:
            remade = RemadeStep(self._watching, NoLoop(), 0, [optimizer], None)
            frame = None if place is None else place.frame
            return subject_of(self._notes, optimizer, frame, remade)

        return make

    def _snapshot(self, step: int, subject: TorchLoop) -> State:
        """A copy of the state. The next one follows when twice as many steps are made."""
        self._next_snapshot = min(2 * step, step + self._owner.recorder.snapshots.spacing.max_steps)
        return state_of(subject, device="cpu")
