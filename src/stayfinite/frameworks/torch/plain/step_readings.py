"""What the user's frames hold where a batch is drawn or an optimizer updates, and their place.

The readings are kept by the identity of the frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import FrameType

import torch

from stayfinite.frameworks.frames import values_of
from stayfinite.frameworks.source_loops import SourceLoop
from stayfinite.frameworks.torch.plain.positions import Position, positions_of
from stayfinite.frameworks.torch.plain.steps import Draw, Reading, StepPlace


def readings_of(positions: Sequence[Position]) -> dict[int, Reading]:
    """The loops that the user's frames are in, by the identity of the frame."""
    return {
        id(frame): Reading(spot, values_of(frame, spot.changing))
        for frame, spot in positions
        if spot.at is not None
    }


def holds_graph(readings: Mapping[int, Reading]) -> bool:
    """Whether a name stands for what is still to be differentiated, as a sum of losses does."""
    return any(_has_graph(v) for reading in readings.values() for v in reading.values.values())


def _has_graph(value: object) -> bool:
    if isinstance(value, (list, tuple)) and value:
        value = value[-1]
    return isinstance(value, torch.Tensor) and value.grad_fn is not None


def loop_readings_of(positions: Sequence[Position]) -> dict[int, Reading]:
    """The loops whose body the user's frames are in, by the identity of the frame."""
    return {
        id(frame): Reading(spot, values_of(frame, spot.wanted))
        for frame, spot in positions
        if spot.around is not None
    }


def header_readings_of(innermost: FrameType, *, is_first: bool) -> dict[int, Reading]:
    """The loops whose header draws a batch, by the identity of the frame.

    Args:
        innermost: The innermost frame.
        is_first: Whether the iteration that begins is the first of its step. What the header binds
            is then read later.
    """
    return {
        id(frame): Reading(spot, values_of(frame, spot.changing if is_first else spot.wanted))
        for frame, spot in positions_of(innermost)
        if spot.in_header
    }


def lines_of(positions: Sequence[Position]) -> dict[int, int]:
    """The line of each of the user's frames, by the identity of the frame."""
    return {id(frame): spot.line for frame, spot in positions}


def place_of(positions: Sequence[Position], draws: Sequence[Draw]) -> StepPlace | None:
    """The loop whose iteration makes the present step; None where there is none.

    It is the innermost loop around the update, in a frame that also drew the batches.
    """
    number = -1
    for position, (frame, spot) in enumerate(positions):
        if spot.around is not None:
            if not draws or has_header(draws, id(frame), spot.around):
                return _place_at(positions, position)
            if number < 0:
                number = position
    return None if number < 0 else _place_at(positions, number)


def _place_at(positions: Sequence[Position], number: int) -> StepPlace:
    frame, spot = positions[number]
    assert spot.around is not None
    inside = tuple([(id(inner), at.line) for inner, at in positions[:number]]) if number else ()
    return StepPlace(frame, spot.around, spot.line, inside)


def has_header(draws: Sequence[Draw], frame_id: int, loop: SourceLoop) -> bool:
    """Whether the header of a loop in a frame has drawn one of the batches."""
    for draw in draws:
        reading = draw.readings.get(frame_id)
        if reading is not None and reading.spot.at is loop:
            return True
    return False
