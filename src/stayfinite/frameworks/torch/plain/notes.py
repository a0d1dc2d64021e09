"""What is noted of the step that a program is making, so that it can be made again if it is bad."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from stayfinite.frameworks.frames import all_values_of, user_frames
from stayfinite.frameworks.source_loops import SourceLoop
from stayfinite.frameworks.torch.plain import verdict
from stayfinite.frameworks.torch.plain.again import Again
from stayfinite.frameworks.torch.plain.calls import CallAgain, StepCall
from stayfinite.frameworks.torch.plain.carried import CarriedNotes
from stayfinite.frameworks.torch.plain.carried_places import CarriedPlace
from stayfinite.frameworks.torch.plain.data import LoopData
from stayfinite.frameworks.torch.plain.joint_updates import JointUpdates
from stayfinite.frameworks.torch.plain.listeners import BadStep, Loss, What
from stayfinite.frameworks.torch.plain.next_calls import NextCalls
from stayfinite.frameworks.torch.plain.noted_losses import NotedLosses
from stayfinite.frameworks.torch.plain.passes import PassNotes
from stayfinite.frameworks.torch.plain.positions import (
    Position,
    items_at,
    outside_loop,
    positions_of,
)
from stayfinite.frameworks.torch.plain.randomness import GeneratorNotes
from stayfinite.frameworks.torch.plain.regular_notes import RegularNotes
from stayfinite.frameworks.torch.plain.regular_steps import RegularStep
from stayfinite.frameworks.torch.plain.step_readings import (
    has_header,
    header_readings_of,
    holds_graph,
    lines_of,
    place_of,
    readings_of,
)
from stayfinite.frameworks.torch.plain.steps import (
    Applied,
    Draw,
    Events,
    Reading,
    StepPlace,
    running_totals,
    versions_of,
)
from stayfinite.frameworks.torch.plain.trained import Trained, TrainedByOptimizer
from stayfinite.frameworks.torch.plain.trainers.calls import Closure, TrainerCalls


@dataclass(slots=True)
class OptimizerCall:
    """One call of an optimizer.

    Attributes:
        optimizer: The optimizer.
        trained: What it trains.
        innermost: The innermost frame.
        positions: Where the user's frames are.
        place: The loop around it; None where there is none with a source.
        scaler: The `GradScaler` that applies it, if one does.
        closure: What it was given to compute the loss, if anything.
        was_made: Whether the listener was called for it as a finite one.
        is_proved: Whether it was known before that it leaves the state finite.
    """

    optimizer: torch.optim.Optimizer
    trained: Trained
    innermost: FrameType
    positions: Sequence[Position]
    place: StepPlace | None
    scaler: Any = None
    closure: Closure | None = None
    was_made: bool = False
    is_proved: bool = False


class StepNotes:
    """Notes of the present step, and of what the next one may need of those before.

    Args:
        is_watching: Whether anything is noted now.

    Attributes:
        events: The draws and updates that the next step may need.
        calls: The calls since the last update that are known to make the step.
        trainer: Those of a trainer of another library.
        generators: Reads the random generators.
        passes: The backward passes, where a step has several.
        trained: What each optimizer trains.
        regular: Notes the steps that are made as the one before.
        losses: Those since the last update.
        joint: The optimizers that are applied to the same gradients.
    """

    def __init__(self, is_watching: Callable[[], bool]) -> None:
        self.events = Events()
        self.calls: list[StepCall] = []
        self.generators = GeneratorNotes()
        self.trainer = TrainerCalls(self.generators, is_watching, lambda: self.events.last_update)
        self.passes = PassNotes(self.generators)
        self.trained = TrainedByOptimizer()
        self._carried = CarriedNotes()
        self.regular = RegularNotes(self.events, self.generators, self.trained, self._carried)
        self._next_calls = NextCalls(self.generators, self.events, is_watching)
        self.losses = NotedLosses()
        self.joint = JointUpdates()
        self._scaled: tuple[Any, Any] | None = None
        # Where the last update was made.
        self._last_items: tuple[int, int, tuple[int, ...]] | None = None
        self._looked_at: set[SourceLoop] = set()

    def created(self, optimizer: torch.optim.Optimizer, innermost: FrameType) -> None:
        """An optimizer was made; a loop over it may begin now in one of the running frames."""
        self._next_calls.look(user_frames(innermost))
        self.regular.forget()
        self.trained.of(optimizer)
        # Which loop follows is not known yet, so these are read here alone.
        frames = [all_values_of(frame).values() for frame in user_frames(innermost)]
        generators = self.generators.now_with(itertools.chain.from_iterable(frames))
        buffers = self.trained.buffers()
        carried = self._carried.created(user_frames(innermost), [b for b, _ in buffers])
        began = Applied(id(optimizer), generators, {}, {}, buffers, carried)
        self.events.updated(began, [], [])

    def regrouped(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer has got other parameters."""
        self.regular.forget()
        self.trained.find_again(optimizer)

    def drew(self, batch: object, source: object, innermost: FrameType) -> None:
        """The iterator `source` of a loader has given a batch."""
        events = self.events
        is_first = not (events.has_backward and events.draws)
        readings = header_readings_of(innermost, is_first=is_first)
        goes_on = is_first and bool(events.draws) and holds_graph(readings)
        if goes_on:
            readings = header_readings_of(innermost, is_first=False)
        draw = Draw(batch, id(source), self.generators.now(), readings, versions_of(batch))
        events.drew(draw, goes_on=goes_on)
        self.regular.drew_otherwise(innermost, readings)

    def differentiated(self, root: Any) -> None:
        """A backward pass begins at `root`."""
        self.events.differentiated()
        self.joint.differentiated()
        tensor = root
        if type(root) is not torch.Tensor and isinstance(root, (list, tuple)) and root:
            tensor = root[0]
        if self._scaled is not None and self._scaled[1] is tensor:
            tensor = self._scaled[0]
        self.losses.began_pass(tensor, self.trained)

    def scaled(self, loss: Any, result: Any) -> None:
        """A `GradScaler` has scaled `loss` to `result`."""
        self._scaled = (loss, result)

    def bad_loss(self, optimizer: torch.optim.Optimizer) -> Loss | None:
        """The first of them that is not finite, whose gradients `optimizer` may have."""
        return None if self.losses.are_finite else self.losses.bad_of(optimizer)

    def spoilt_buffers(self, update: OptimizerCall) -> bool:
        """Whether the step of `update` has made a buffer non-finite."""
        statistics = self.trained.statistics()
        if not statistics or math.isfinite(verdict.bound_of(statistics)):
            return False
        began = self._began(update.place)
        before = {} if began is None else {id(buffer): copy for buffer, copy in began.buffers}
        return any(
            id(buffer) in before and not verdict.is_unspoilt(before[id(buffer)], buffer)
            for buffer in statistics
        )

    def update(
        self,
        optimizer: torch.optim.Optimizer,
        innermost: FrameType,
        scaler: Any = None,
        closure: Closure | None = None,
    ) -> OptimizerCall:
        """The update that the frame `innermost` is about to make, or has made."""
        trained = self.trained.of(optimizer)
        positions: Sequence[Position] = positions_of(innermost)
        if self.events.is_joint and positions:
            positions = self._outside_loop_of_updates(positions)
        place = place_of(positions, self.events.draws)
        return OptimizerCall(optimizer, trained, innermost, positions, place, scaler, closure)

    def _outside_loop_of_updates(self, positions: Sequence[Position]) -> Sequence[Position]:
        """`positions` without the loop that goes from one optimizer to the next, if one does."""
        first = positions[0]
        frame, spot, items = items_at(first)
        if self._last_items is None or self._last_items[:2] != (frame, spot):
            return positions
        goes_on = items != self._last_items[2]
        return [outside_loop(first), *positions[1:]] if goes_on else positions

    def regular_ended(self, step: RegularStep, frame: FrameType) -> None:
        """The update of a step was made that is as the one before."""
        self.losses.clear()
        self._scaled = None
        self.regular.ended(step, frame)

    def data_of_calls(self) -> LoopData | None:
        """The data of the step, where it is made of calls; None where it is that of a loop."""
        if self.trainer:
            return self.trainer.data()
        return LoopData(tuple(call.iteration() for call in self.calls)) if self.calls else None

    def bad_step(self, update: OptimizerCall, what: What, loss: Loss | None = None) -> BadStep:
        """The step of `update`, which is bad."""
        optimizer, place = update.optimizer, update.place
        again: Again | None
        began = self._began(place)
        if self.trainer:
            num_updates = self.trainer.num_updates(optimizer)
            again = self.trainer.step(optimizer, update.closure, update.innermost)
        else:
            num_updates = 0 if place is None else self.events.num_updates(place, id(optimizer))
            differentiates = self.losses.last is not None
            call = self.calls[-1] if self.calls else None
            again = None if call is None else CallAgain(call, differentiates=differentiates)
        loss = self.losses.last if loss is None else loss
        loss = self.joint.loss if loss is None else loss
        frame, scaler, was_made = update.innermost, update.scaler, update.was_made
        return BadStep(
            what, optimizer, loss, place, frame, began, num_updates, scaler, again, was_made
        )

    def forget_calls(self) -> None:
        """What was called and differentiated is no part of a later step."""
        self.losses.clear()
        self.calls.clear()
        self._scaled = None

    def end(self) -> None:
        """Nothing is noted from now on."""
        self._next_calls.end()
        self.passes.forget()  # a step that has stopped the training is not ended

    def forget(self) -> None:
        """Nothing that has happened is a part of the next step."""
        self.events.forget()
        self.passes.forget()
        self.regular.forget()
        self.forget_calls()

    def ended(self, update: OptimizerCall) -> None:
        """`update` was made, or left out."""
        self.joint.applied(update.optimizer, self.losses.last)
        self.forget_calls()
        place, events, trained = update.place, self.events, update.trained
        is_of_trainer = bool(self.trainer)
        self.trainer.updated(update.optimizer)
        self._last_items = items_at(update.positions[0]) if update.positions else None
        since = [] if place is None else events.since(place)
        draws = [event for event in since if type(event) is Draw]
        if self.generators.is_probing:
            self._probe(events.last_update if place is None else events.step_at(place)[0], draws)
        if trained.is_learning:
            trained.step_ended()
        is_new = place is not None and place.loop not in self._looked_at
        if place is not None and is_new:
            # Before their states are read, which the next step begins with.
            self._looked_at.add(place.loop)
            self._next_calls.look([place.frame])
            self.generators.look(place.values().values())
        readings: dict[int, Reading] = {}
        if draws and place is not None and has_header(draws, id(place.frame), place.loop):
            # The next iteration of a loop over a loader begins at a draw.
            generators = draws[-1].generators
        else:
            readings, generators = readings_of(update.positions), self.generators.now()
        if self.passes.is_noting:
            self.passes.step_ended(draws=bool(draws))
        number, lines = id(update.optimizer), lines_of(update.positions)
        buffers = self.trained.buffers()
        if place is not None:
            buffers += running_totals(place.frame, place.loop.written_before_alone(place.line))
        carried: Sequence[CarriedPlace] = ()
        if place is not None:
            copied = [buffer for buffer, _ in buffers]
            carried = self._carried.ended(place.frame, place.loop, trained.roots, copied)
        is_joint = events.is_joint
        applied = Applied(number, generators, readings, lines, buffers, carried, is_joint)
        events.updated(applied, since, draws)
        self.regular.forget()
        is_known = update.is_proved and not (is_of_trainer or self.passes.is_noting)
        if is_known and place is not None:
            self.regular.follow(trained, place, update.positions, update.innermost, since)

    def _probe(self, began: Applied | None, draws: Sequence[Draw]) -> None:
        first = draws[0].generators if draws else began.generators if began else None
        first = self.trainer.first_generators or first
        if first is not None:
            self.generators.step_ended(first)

    def _began(self, place: StepPlace | None) -> Applied | None:
        """What was noted when the step at `place` began."""
        if self.trainer:
            return self.trainer.began
        return self.events.last_update if place is None else self.events.step_at(place)[0]
