"""Steps that are made as the one before, of which less has to be noted.

Most steps of a training are one update in the body of one loop, by the same optimizer, after one
batch of a loader or none. The frames outside of that loop stand still meanwhile, so where they are
is not looked up again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import FrameType
from typing import NamedTuple

from stayfinite.frameworks.frames import values_of
from stayfinite.frameworks.source_loops import SourceLoop
from stayfinite.frameworks.torch.plain.positions import Position, Spot
from stayfinite.frameworks.torch.plain.step_data import NotedStep, note_step
from stayfinite.frameworks.torch.plain.steps import (
    Applied,
    Draw,
    Reading,
    StepPlace,
)
from stayfinite.frameworks.torch.plain.targets import batch_target, bind
from stayfinite.frameworks.torch.plain.trained import Trained


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
        depth, frame_id, instruction = self
        frame: FrameType | None = innermost
        while depth and frame is not None:
            depth, frame = depth - 1, frame.f_back
        if id(frame) != frame_id or frame is None or frame.f_lasti != instruction:
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
        begun: The readings where an iteration begins; None where they have values of names.
        totals: The names that may stand for a running total.
        has_buffers: Whether steps write to buffers.
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
    begun: Mapping[int, Reading] | None = None
    totals: tuple[str, ...] = ()
    has_buffers: bool = False

    def readings(self, frame: FrameType) -> Mapping[int, Reading]:
        """What the frame of the loop holds where an iteration begins."""
        if self.begun is not None:
            return self.begun
        values = values_of(frame, self.begins.changing)
        return {id(frame): tuple.__new__(Reading, (self.begins, values))}

    def place(self, frame: FrameType) -> StepPlace:
        """The place of the update."""
        return tuple.__new__(StepPlace, (frame, self.loop, self.line, ()))

    def noted(self, frame: FrameType, events: Sequence[Draw | Applied]) -> NotedStep | None:
        """What there is to note of a step of these events; None if all is to be noted anew."""
        kept = self.kept
        if kept is None:
            return None
        now = {**kept.now, **values_of(frame, self.numbers)} if self.numbers else kept.now
        values = (self.loop, kept.frame_id, self.line, events, now, kept.of_module, (), True, ())
        return tuple.__new__(NotedStep, values)


def regular_step(
    trained: Trained,
    place: StepPlace,
    positions: Sequence[Position],
    innermost: FrameType,
    since: Sequence[Draw | Applied],
    drawn: At | None,
    *,
    has_buffers: bool,
) -> RegularStep | None:
    """What the next steps have in common with this one; None if it has more than one batch.

    Args:
        trained: What its optimizer trains.
        place: Where it was applied.
        positions: The user's frames there.
        innermost: The innermost frame there.
        since: The events of the step.
        drawn: Where its last batch was drawn, if a header drew it.
        has_buffers: Whether steps write to buffers of the modules that are trained.
    """
    updated, began = at(innermost, place.frame_id), since[0] if since else None
    if trained.is_flattened or place.inside or updated is None or type(began) is not Applied:
        return None
    optimizer = trained.optimizer()
    if optimizer is None or began.optimizer != id(optimizer):
        return None
    lines = {id(frame): spot.line for frame, spot in positions}
    loop, line = place.loop, place.line
    totals = loop.written_before_alone(line)
    if len(since) == 1:
        spot = positions[0][1]
        step = RegularStep(trained, None, updated, spot, loop, line, lines)
        return step._replace(begun=_begun(place, spot), totals=totals, has_buffers=has_buffers)
    draw = since[1]
    if len(since) > 2 or type(draw) is not Draw or drawn is None:
        return None
    if [*draw.readings] != [place.frame_id] or drawn.frame_id != place.frame_id:
        return None
    begins = draw.readings[place.frame_id].spot
    if begins.at is not loop:
        return None
    bound = bind(batch_target(loop.node), draw.batch) or {}
    noted = note_step(place, since, (), is_complete=True)
    changing = loop.bound.union(loop.targets)
    now = {name: value for name, value in noted.now.items() if name not in changing}
    numbers = tuple(name for name in loop.targets if name not in bound)
    kept = noted._replace(events=(), now=now)
    begun = _begun(place, begins)
    step = RegularStep(trained, drawn, updated, begins, loop, line, lines, kept, numbers)
    return step._replace(begun=begun, totals=totals, has_buffers=has_buffers)


def _begun(place: StepPlace, begins: Spot) -> Mapping[int, Reading] | None:
    return None if begins.changing else {place.frame_id: Reading(begins, {})}
