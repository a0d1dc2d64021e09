"""What is noted of the steps of a loop, and where each begins and ends.

An iteration begins where its header draws a batch from a `DataLoader`. In a loop without one it
begins after the last update of the iteration before. What happened between two updates of the same
weights is one step: several draws where gradients are accumulated, two optimizers in an adversarial
training.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import NamedTuple, TypeGuard

import torch

from stayfinite.frameworks.frames import values_of
from stayfinite.frameworks.source_loops import SourceLoop
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain import trees
from stayfinite.frameworks.torch.plain.carried_places import CarriedPlace
from stayfinite.frameworks.torch.plain.positions import Spot
from stayfinite.frameworks.torch.plain.randomness import Generators

# Batches of one step that are kept; a step of more is not made again.
MAX_DRAWS = 256

# Numbers that are added up in a loop; larger tensors are data.
_MAX_TOTAL = 1024

# The types of this file are made in every step, and a frozen dataclass takes twice as long. In
# `regular_steps.py` they are made by `tuple.__new__`, which calls no Python code.
_PLAIN = {torch.Tensor}


class Reading(NamedTuple):
    """What a running frame held for the loop that it was in.

    Attributes:
        spot: Where the frame was.
        values: Values of names that the body reads before it binds them, and of the header.
    """

    spot: Spot
    values: Mapping[str, object]


class Draw(NamedTuple):
    """A batch that a loader gave; `versions` counts the writes to its tensors until then."""

    batch: object
    source: int
    generators: Generators
    readings: Mapping[int, Reading]
    versions: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays of the batch."""
        batch = self.batch
        if _are_tensors(batch):
            return sum([tensor.nbytes for tensor in batch])
        return sum([leaf.nbytes for _, leaf in trees.leaves(batch)])


class Applied(NamedTuple):
    """An optimizer was applied, or left out by a loss scale; the next iteration may begin here.

    `optimizer` is its identity, `lines` are those of the user's frames, and `buffers` has each
    buffer, and each tensor of `running_totals`, with a copy of it. `carried` are the places
    that the next step may bind anew, with their values. `is_joint`: whether nothing was drawn or
    differentiated since the update before it.
    """

    optimizer: int
    generators: Generators
    readings: Mapping[int, Reading]
    lines: Mapping[int, int]
    buffers: Sequence[tuple[torch.Tensor, torch.Tensor]] = ()
    carried: Sequence[CarriedPlace] = ()
    is_joint: bool = False


class Take(NamedTuple):
    """An item that a loop in the frame `frame_id` took by the assignment `statement` of `next`.

    `generators` are as the source of the item has left them. `num_draws` counts the batches that
    the source has drawn from a loader meanwhile.
    """

    frame_id: int
    statement: ast.Assign
    item: object
    generators: Generators
    num_draws: int


class StepPlace(NamedTuple):
    """The frame and the loop around an update.

    `inside` are the calls between the loop and the update, innermost first: the identity of each
    frame, and its line.
    """

    frame: FrameType
    loop: SourceLoop
    line: int
    inside: tuple[tuple[int, int], ...] = ()

    @property
    def frame_id(self) -> int:
        """The identity of the frame, under which its readings are kept."""
        return id(self.frame)

    def values(self) -> dict[str, object]:
        """The values of the names that the loop wants, those of its module as well."""
        held = self.frame.f_globals
        found = {name: held[name] for name in self.loop.globals_read if name in held}
        return {**found, **values_of(self.frame, self.loop.wanted)}


def running_totals(
    frame: FrameType, names: Sequence[str]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The small tensors that an iteration has written to in place, each with a copy.

    Args:
        frame: The frame of the loop.
        names: Those that the loop writes to before the update alone.
    """
    values = values_of(frame, names).values()
    return [(value, value.clone()) for value in values if is_total(value)]


def is_total(value: object) -> TypeGuard[torch.Tensor]:
    """Whether a value is a small tensor that no gradient goes through."""
    if not isinstance(value, torch.Tensor) or value.requires_grad:
        return False
    return bool(value.numel() <= _MAX_TOTAL)


class Events:
    """The draws and updates that the next step may need, oldest first.

    Attributes:
        draws: The batches that were drawn.
        is_at_update: Whether nothing was drawn since the last update.
        has_backward: Whether something was differentiated since the last draw or update.
        lost_draws: Whether there were too many draws to keep.
        num_drawn: How many batches loaders have given so far.
    """

    def __init__(self) -> None:
        # Each with the update after which it was taken.
        self._takes: list[tuple[Applied | None, Take]] = []
        self.num_drawn = 0
        self._events: list[Draw | Applied] = []
        self.draws: list[Draw] = []
        self.has_backward = False
        self.is_at_update = False
        self.lost_draws = False
        self._differentiates = False

    def forget(self) -> None:
        """Nothing that has happened is a part of the next step."""
        self._events, self.draws = [], []
        self.has_backward = self.is_at_update = self.lost_draws = False

    def differentiated(self) -> None:
        """A backward pass begins."""
        self.has_backward = self._differentiates = True

    @property
    def is_joint(self) -> bool:
        """Whether an update now is by gradients of the same backward passes as the last one.

        A program may make gradients without a backward pass; nothing is known of them.
        """
        return self._differentiates and self.is_at_update and not self.has_backward

    def drew(self, draw: Draw, *, goes_on: bool = False) -> None:
        """A loader gave a batch.

        Args:
            draw: The batch.
            goes_on: Whether something of the batch before it is still to be differentiated.
        """
        self.num_drawn += 1
        if (
            not (self.has_backward or goes_on)
            and self.draws
            and self.draws[-1].source == draw.source
        ):
            # Nothing was differentiated with the one before, as in a validation.
            self._forget(self.draws[-1])
        self.has_backward = self.is_at_update = False
        if len(self.draws) >= MAX_DRAWS:
            self._forget(self.draws[0])
            self.lost_draws = True
        self._events.append(draw)
        self.draws.append(draw)

    def took(self, take: Take) -> None:
        """A loop took an item by `next`; those of steps that are over are forgotten."""
        updates = {id(event) for event in self._events}
        kept = [each for each in self._takes if id(each[0]) in updates][-MAX_DRAWS:]
        self._takes = [*kept, (self.last_update, take)]

    def takes(self, since: Sequence[Draw | Applied], frame_id: int) -> list[Take]:
        """The items that were taken in a frame after the first update of `since`."""
        updates = {id(event) for event in since}
        return [
            take
            for update, take in self._takes
            if id(update) in updates and take.frame_id == frame_id
        ]

    def _forget(self, draw: Draw) -> None:
        self.draws = [other for other in self.draws if other is not draw]
        self._events = [event for event in self._events if event is not draw]

    def updated(self, update: Applied, since: list[Draw | Applied], draws: list[Draw]) -> None:
        """Weights were updated; of the events before, only `since` may belong to the next step.

        `draws` are the batches among them.
        """
        self.draws = draws
        self._events = [*since, update]
        self.has_backward = self.lost_draws = False
        self.is_at_update = True

    def drew_alone(self, draw: Draw) -> None:
        """A loader gave the first batch since the last update, and what was before it is over."""
        self._events = [self._events[-1], draw]
        self.draws = [draw]
        self.is_at_update = False

    def updated_alone(self, update: Applied) -> None:
        """Weights were updated after that batch, or after none since the last update."""
        self._events = [*self._events[-1 if self.is_at_update else -2 :], update]
        self.has_backward = False
        self.is_at_update = True

    def alone(self) -> list[Draw | Applied]:
        """The last update, and that batch."""
        return self._events[-1:] if self.is_at_update else self._events[-2:]

    def step_at(self, place: StepPlace) -> tuple[Applied | None, list[Draw]]:
        """The update after which the step at `place` began, and the batches drawn since then."""
        events = self.since(place)
        first = events[0] if events else None
        draws = [event for event in events if type(event) is Draw]
        return (first if type(first) is Applied else None), draws

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
            type(event) is Applied and event.optimizer == optimizer
            for event in self.since(place)[1:]
        )

    def since(self, place: StepPlace) -> list[Draw | Applied]:
        """The events from the last update on that is no part of the iteration at `place`."""
        events, is_joint = self._events, self.is_joint
        for number in range(len(events) - 1, -1, -1):
            event = events[number]
            if type(event) is not Applied:
                continue
            if not is_joint and not _is_in_iteration(event, place):
                return events[number:]
            is_joint = event.is_joint
        return events[:]


def _is_in_iteration(update: Applied, place: StepPlace) -> bool:
    """Whether an earlier update was made in the iteration at `place`.

    Inside one call that the loop makes, the lines of its function tell which came first.
    """
    for frame_id, line in place.inside:
        if frame_id in update.lines:
            return update.lines[frame_id] < line
    line = update.lines.get(place.frame_id, 0)
    return place.loop.first_line <= line < place.line


def versions_of(batch: object) -> tuple[int, ...]:
    """How often each tensor of a batch has been written to."""
    if _are_tensors(batch):
        return private.writes_to(batch)
    return private.writes_to(
        [leaf for _, leaf in trees.leaves(batch) if isinstance(leaf, torch.Tensor)]
    )


def _are_tensors(batch: object) -> TypeGuard[Sequence[torch.Tensor]]:
    """Whether a batch is a few tensors, as most loaders give them: no structure is searched."""
    return isinstance(batch, (list, tuple)) and {*map(type, batch)} == _PLAIN
