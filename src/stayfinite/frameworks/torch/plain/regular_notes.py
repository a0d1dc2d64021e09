"""Notes the steps that are made as the one before.

A step puts the code of the guard out of the caches of the processor, so that each call of a
function takes microseconds there. So the functions of this file make few calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import FrameType

import torch

from stayfinite.frameworks.torch.plain.carried import CarriedNotes
from stayfinite.frameworks.torch.plain.positions import Position
from stayfinite.frameworks.torch.plain.private import is_first_draw
from stayfinite.frameworks.torch.plain.randomness import GeneratorNotes
from stayfinite.frameworks.torch.plain.regular_steps import At, RegularStep, at, regular_step
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

_NONE: Mapping[int, Reading] = {}


class RegularNotes:
    """Notes the steps that are made as the one before.

    Args:
        events: The draws and updates.
        generators: Reads the random generators.
        trained: What each optimizer trains.
        carried: The values that a step binds anew.
    """

    def __init__(
        self,
        events: Events,
        generators: GeneratorNotes,
        trained: TrainedByOptimizer,
        carried: CarriedNotes,
    ) -> None:
        self._events = events
        self._generators = generators
        self._trained = trained
        self._carried = carried
        self._step: RegularStep | None = None
        self._is_drawn = False
        self._drawn: At | None = None

    def forget(self) -> None:
        """The next step is none."""
        self._step = None

    def drew(self, batch: object, source: object, inside: int) -> bool:
        """Note a batch; False, and nothing is noted, where it does not begin such a step.

        Args:
            batch: The batch.
            source: The iterator that has given it.
            inside: How far the caller is inside the innermost frame.
        """
        step, events = self._step, self._events
        if step is None or step.drawn is None:
            return False
        frame = step.drawn.frame(inside + 1)
        follows = events.is_at_update and not events.has_backward
        self._is_drawn = frame is not None and follows and not is_first_draw(source)
        if frame is None or not self._is_drawn:
            return False
        generators, readings = self._generators.now(), step.begun
        if readings is None:
            readings = step.readings(frame)
        noted = (batch, id(source), generators, readings, versions_of(batch))
        events.drew_alone(tuple.__new__(Draw, noted))
        return True

    def drew_otherwise(self, innermost: FrameType, readings: Mapping[int, Reading]) -> None:
        """A batch was noted that begins another step."""
        self._drawn = at(innermost, next(iter(readings))) if readings else None

    def found(
        self, optimizer: torch.optim.Optimizer, inside: int
    ) -> tuple[RegularStep, FrameType] | None:
        """What is known of the present step, and its frame; None if it is none of them.

        Args:
            optimizer: Is about to be applied.
            inside: How far the caller is inside the innermost frame.
        """
        step = self._step
        if step is None or step.trained.optimizer() is not optimizer:
            return None
        if not (self._events.is_at_update if step.drawn is None else self._is_drawn):
            return None
        frame = step.updated.frame(inside + 1)
        return None if frame is None else (step, frame)

    def ended(self, step: RegularStep, frame: FrameType) -> None:
        """The update was made."""
        self._is_drawn = False
        events = self._events
        readings: Mapping[int, Reading] = _NONE
        if step.drawn is None:
            readings, generators = step.readings(frame), self._generators.now()
        else:
            generators = events.draws[0].generators
        buffers: list[tuple[torch.Tensor, torch.Tensor]] = []
        if step.has_buffers:
            buffers += self._trained.buffers()
        if step.totals:
            buffers += running_totals(frame, step.totals)
        carried = self._carried.now()
        number, lines = id(step.trained.optimizer()), step.lines
        noted = (number, generators, readings, lines, buffers, carried, False)
        events.updated_alone(tuple.__new__(Applied, noted))

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
        is_learning = trained.is_learning or self._carried.is_learning
        if not (self._generators.is_probing or is_learning or has_items):
            self._step = regular_step(
                trained,
                place,
                positions,
                innermost,
                since,
                self._drawn,
                has_buffers=self._trained.has_written,
            )
