"""Steps that are made as the one before, of which less has to be noted.

Most steps of a training are one update in the body of one loop, by the same optimizer, after one
batch of a loader or none. The frames outside of that loop stand still meanwhile, so where they are
is not looked up again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import FrameType
from typing import NamedTuple

import torch

from stayfinite.frameworks.frames import values_of
from stayfinite.frameworks.source_loops import SourceLoop
from stayfinite.frameworks.torch.plain.positions import Position, Spot
from stayfinite.frameworks.torch.plain.private import is_first_draw
from stayfinite.frameworks.torch.plain.randomness import GeneratorNotes
from stayfinite.frameworks.torch.plain.step_data import NotedStep, batch_target, bind, note_step
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


class At(NamedTuple):
    """Where a frame is when a hook is called.

    Attributes:
        depth: How far it is outside the innermost frame.
        frame_id: Its identity.
        instruction: The instruction that it is at.
    """

    depth: int
    frame_id: int
    instruction: int

    def frame_of(self, innermost: FrameType) -> FrameType | None:
        """The frame at this depth, if it is the same one at the same instruction."""
        frame: FrameType | None = innermost
        for _ in range(self.depth):
            if frame is None:
                return None
            frame = frame.f_back
        if frame is None or id(frame) != self.frame_id or frame.f_lasti != self.instruction:
            return None
        return frame


def at(innermost: FrameType, frame_id: int) -> At | None:
    """Where the frame with this identity is, which `innermost` was called by."""
    depth, frame = 0, innermost
    while id(frame) != frame_id:
        if frame.f_back is None:
            return None
        depth, frame = depth + 1, frame.f_back
    return At(depth, frame_id, frame.f_lasti)


class RegularStep(NamedTuple):
    """What is the same of each step of a loop.

    Attributes:
        trained: What the optimizer trains.
        drawn: Where the header of the loop draws a batch; None in a loop without a loader.
        updated: Where the optimizer is applied.
        begins: Where the next iteration begins: at the draw, or after the update.
        loop: The loop.
        line: The line of the update.
        lines: Those of the user's frames, by their identity.
        kept: What a step of a loop over a loader reads that stays the same; None without a loader.
        numbers: Of the names that its header binds, those that are no part of the batch.
    """

    trained: Trained
    drawn: At | None
    updated: At
    begins: Spot
    loop: SourceLoop
    line: int
    lines: Mapping[int, int]
    kept: NotedStep | None = None
    numbers: tuple[str, ...] = ()

    def readings(self, frame: FrameType) -> dict[int, Reading]:
        """What the frame of the loop holds where an iteration begins."""
        names = self.begins.changing
        return {id(frame): Reading(self.begins, values_of(frame, names) if names else {})}

    def place(self, frame: FrameType) -> StepPlace:
        """The place of the update."""
        return StepPlace(frame, self.loop, self.line)

    def noted(self, frame: FrameType, events: Sequence[Draw | Applied]) -> NotedStep | None:
        """What there is to note of a step of these events; None if all is to be noted anew."""
        kept = self.kept
        if kept is None:
            return None
        now = {**kept.now, **values_of(frame, self.numbers)} if self.numbers else kept.now
        loop, others = self.loop, kept.of_module
        return NotedStep(loop, kept.frame_id, self.line, events, now, others, (), True)


def regular_step(
    trained: Trained,
    place: StepPlace,
    positions: Sequence[Position],
    innermost: FrameType,
    since: Sequence[Draw | Applied],
    drawn: At | None,
) -> RegularStep | None:
    """What the next steps have in common with this one; None if it has more than one batch.

    Args:
        trained: What its optimizer trains.
        place: Where it was applied.
        positions: The user's frames there.
        innermost: The innermost frame there.
        since: The events of the step.
        drawn: Where its last batch was drawn, if a header drew it.
    """
    updated, began = at(innermost, place.frame_id), since[0] if since else None
    if trained.is_flattened or place.inside or updated is None or type(began) is not Applied:
        return None
    optimizer = trained.optimizer()
    if optimizer is None or began.optimizer != id(optimizer):
        return None
    lines = {id(frame): spot.line for frame, spot in positions}
    if len(since) == 1:
        begins = positions[0][1]
        return RegularStep(trained, None, updated, begins, place.loop, place.line, lines)
    draw = since[1]
    if len(since) > 2 or type(draw) is not Draw or drawn is None:
        return None
    if [*draw.readings] != [place.frame_id] or drawn.frame_id != place.frame_id:
        return None
    begins = draw.readings[place.frame_id].spot
    if begins.at is not place.loop:
        return None
    loop = place.loop
    bound = bind(batch_target(loop.node), draw.batch) or {}
    noted = note_step(place, since, (), is_complete=True)
    changing = loop.bound.union(loop.targets)
    now = {name: value for name, value in noted.now.items() if name not in changing}
    numbers = tuple(name for name in loop.targets if name not in bound)
    kept = noted._replace(events=(), now=now)
    return RegularStep(trained, drawn, updated, begins, loop, place.line, lines, kept, numbers)


class RegularNotes:
    """Notes the steps that are made as the one before.

    Args:
        events: The draws and updates.
        generators: Reads the random generators.
        trained: What each optimizer trains.
    """

    def __init__(
        self, events: Events, generators: GeneratorNotes, trained: TrainedByOptimizer
    ) -> None:
        self._events = events
        self._generators = generators
        self._trained = trained
        self._step: RegularStep | None = None
        self._is_drawn = False
        self._drawn: At | None = None

    def forget(self) -> None:
        """The next step is none."""
        self._step = None

    def drew(self, batch: object, source: object, innermost: FrameType) -> bool:
        """Note a batch; False, and nothing is noted, where it does not begin such a step."""
        step, events = self._step, self._events
        if step is None or step.drawn is None:
            return False
        frame = step.drawn.frame_of(innermost)
        follows = events.is_at_update and not events.has_backward
        self._is_drawn = frame is not None and follows and not is_first_draw(source)
        if frame is None or not self._is_drawn:
            return False
        readings, generators = step.readings(frame), self._generators.now()
        events.drew_alone(Draw(batch, id(source), generators, readings, versions_of(batch)))
        return True

    def drew_otherwise(self, innermost: FrameType, readings: Mapping[int, Reading]) -> None:
        """A batch was noted that begins another step."""
        self._drawn = at(innermost, next(iter(readings))) if readings else None

    def found(
        self, optimizer: torch.optim.Optimizer, innermost: FrameType
    ) -> tuple[RegularStep, FrameType] | None:
        """What is known of the present step, and its frame; None if it is none of them.

        Args:
            optimizer: Is about to be applied.
            innermost: The innermost frame.
        """
        step = self._step
        if step is None or step.trained.optimizer() is not optimizer:
            return None
        if not (self._events.is_at_update if step.drawn is None else self._is_drawn):
            return None
        frame = step.updated.frame_of(innermost)
        return None if frame is None else (step, frame)

    def ended(self, step: RegularStep, frame: FrameType) -> None:
        """The update was made."""
        self._is_drawn = False
        events = self._events
        readings: dict[int, Reading] = {}
        if step.drawn is None:
            readings, generators = step.readings(frame), self._generators.now()
        else:
            generators = events.draws[0].generators
        buffers = self._trained.buffers()
        if step.loop.written:
            buffers += running_totals(step.place(frame))
        number = id(step.trained.optimizer())
        events.updated_alone(Applied(number, generators, readings, step.lines, buffers))

    def follow(
        self,
        trained: Trained,
        place: StepPlace,
        positions: Sequence[Position],
        innermost: FrameType,
        since: Sequence[Draw | Applied],
    ) -> None:
        """The steps after this one may be as it was; for the arguments see `regular_step`."""
        # What is noted of a loop over a loader has no items of `next`.
        has_items = len(since) > 1 and bool(self._events.takes(since, place.frame_id))
        if not (self._generators.is_probing or trained.is_learning or has_items):
            self._step = regular_step(trained, place, positions, innermost, since, self._drawn)
