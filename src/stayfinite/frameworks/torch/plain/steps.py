"""Where the step of a loop begins and ends, and its data.

An iteration begins where its header draws a batch from a `DataLoader`. In a loop without one it
begins after the last update of the iteration before. What happened between two updates of the same
weights is one step: several draws where gradients are accumulated, two optimizers in an adversarial
training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

import torch

from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain import trees
from stayfinite.frameworks.torch.plain.frames import user_frames, values_of
from stayfinite.frameworks.torch.plain.loops import SourceLoop, spot_of
from stayfinite.frameworks.torch.plain.randomness import Generators

# Batches of one step that are kept; a step of more is not made again.
MAX_DRAWS = 256


@dataclass(frozen=True)
class Reading:
    """What a running frame held for the loop that it was in.

    Attributes:
        loop: The loop.
        line: The line that the frame was at.
        in_header: Whether that line draws the next item.
        values: The names that the body reads before it binds them, and those of the header.
    """

    loop: SourceLoop
    line: int
    in_header: bool
    values: Mapping[str, object]


@dataclass(frozen=True)
class Draw:
    """A batch that a loader gave; `versions` counts the writes to its tensors until then."""

    batch: object
    source: int
    generators: Generators
    readings: Mapping[int, Reading]
    versions: tuple[int, ...]
    nbytes: int


@dataclass(frozen=True)
class Applied:
    """An optimizer was applied, or left out by a loss scale; the next iteration may begin here.

    `optimizer` is its identity, `lines` are those of the user's frames, and `buffers` has each
    buffer with a copy of it.
    """

    optimizer: int
    generators: Generators
    readings: Mapping[int, Reading]
    lines: Mapping[int, int]
    buffers: Sequence[tuple[torch.Tensor, torch.Tensor]] = ()


@dataclass(frozen=True)
class StepPlace:
    """The frame and the loop around an update."""

    frame: FrameType
    loop: SourceLoop
    line: int

    @property
    def frame_id(self) -> int:
        """The identity of the frame, under which its readings are kept."""
        return id(self.frame)

    def values(self) -> dict[str, object]:
        """The values of the names that the loop wants, those of its module as well."""
        held = self.frame.f_globals
        found = {name: held[name] for name in self.loop.globals_read if name in held}
        return {**found, **values_of(self.frame, self.loop.wanted)}


class Events:
    """The draws and updates that the next step may need, oldest first."""

    def __init__(self) -> None:
        self._events: list[Draw | Applied] = []
        self._num_draws = 0
        self.has_backward = False
        self.lost_draws = False

    def drew(self, draw: Draw) -> None:
        """A loader gave a batch."""
        last = self._events[-1] if self._events else None
        if isinstance(last, Draw) and last.source == draw.source and not self.has_backward:
            # Nothing was differentiated with the one before, as in a validation.
            self._events.pop()
            self._num_draws -= 1
        self.has_backward = False
        if self._num_draws >= MAX_DRAWS:
            first = next(e for e in self._events if isinstance(e, Draw))
            self._events.remove(first)
            self._num_draws -= 1
            self.lost_draws = True
        self._events.append(draw)
        self._num_draws += 1

    def updated(self, update: Applied, place: StepPlace | None) -> None:
        """Weights were updated; events before the last such update are forgotten."""
        if place is None:
            self._events = []
        else:
            self._events = self._since(place)
        self._events.append(update)
        self._num_draws = sum([type(event) is Draw for event in self._events])
        self.has_backward = self.lost_draws = False

    def step_at(self, place: StepPlace) -> tuple[Applied | None, list[Draw]]:
        """The update after which the step at `place` began, and the batches drawn since then."""
        events = self._since(place)
        first = events[0] if events else None
        draws = [event for event in events if type(event) is Draw]
        return (first if isinstance(first, Applied) else None), draws

    @property
    def draws(self) -> list[Draw]:
        """The batches that were drawn, oldest first."""
        return [event for event in self._events if type(event) is Draw]

    @property
    def last_update(self) -> Applied | None:
        """The last time that weights were updated."""
        for event in reversed(self._events):
            if type(event) is Applied:
                return event
        return None

    def num_updates(self, place: StepPlace, optimizer: int) -> int:
        """Updates by the optimizer with this identity since the step at `place` began."""
        return sum(
            isinstance(event, Applied) and event.optimizer == optimizer
            for event in self._since(place)[1:]
        )

    def _since(self, place: StepPlace) -> list[Draw | Applied]:
        """The events from the last update on that is no part of the iteration at `place`."""
        for number in range(len(self._events) - 1, -1, -1):
            event = self._events[number]
            if isinstance(event, Applied):
                line = event.lines.get(place.frame_id)
                if line is None or line >= place.line or line < place.loop.first_line:
                    return self._events[number:]
        return list(self._events)


def readings_of(innermost: FrameType | None) -> dict[int, Reading]:
    """The loops that the user's frames are in, by the identity of the frame."""
    found = {}
    for frame in user_frames(innermost):
        spot = spot_of(frame)
        if spot.at is not None:
            values = values_of(frame, spot.wanted)
            found[id(frame)] = Reading(spot.at, spot.line, spot.in_header, values)
    return found


def lines_of(innermost: FrameType | None) -> dict[int, int]:
    """The line of each of the user's frames, by the identity of the frame."""
    return {id(frame): spot_of(frame).line for frame in user_frames(innermost)}


def place_of(innermost: FrameType | None, draws: Sequence[Draw]) -> StepPlace | None:
    """The loop whose iteration makes the present step; None where there is none.

    It is the innermost loop around the update, in a frame that also drew the batches.
    """
    found: StepPlace | None = None
    for frame in user_frames(innermost):
        spot = spot_of(frame)
        if spot.around is None:
            continue
        place = StepPlace(frame, spot.around, spot.line)
        if found is None:
            found = place
        if any([is_header_of(draw, place) for draw in draws]):
            return place
    return found


def drawn(batch: object, source: object, generators: Generators, innermost: FrameType) -> Draw:
    """What is noted of a batch that the iterator `source` of a loader has given."""
    leaves = [leaf for _, leaf in trees.leaves(batch)]
    versions = tuple([private.writes_to(t) for t in leaves if isinstance(t, torch.Tensor)])
    nbytes = sum([leaf.nbytes for leaf in leaves])
    return Draw(batch, id(source), generators, readings_of(innermost), versions, nbytes)


def versions_of(batch: object) -> tuple[int, ...]:
    """How often each tensor of a batch has been written to."""
    return tuple(
        private.writes_to(leaf) for _, leaf in trees.leaves(batch) if isinstance(leaf, torch.Tensor)
    )


def is_header_of(draw: Draw, place: StepPlace) -> bool:
    """Whether the header of the loop at `place` has drawn a batch."""
    reading = draw.readings.get(place.frame_id)
    return reading is not None and reading.in_header and reading.loop is place.loop
