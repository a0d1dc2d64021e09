"""Values that a step carries to the next one outside of the names of its loop.

A running mean that a module binds anew, weights averaged in a dict, a hidden state in an attribute:
the step puts a new value in the place of the old one. References to the old values are kept from
one update to the next, so that a step that is made again begins with them. Of small arrays that it
writes to in place, copies are kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from types import FrameType
from typing import Any

import torch

from stayfinite.frameworks.source_loops import SourceLoop
from stayfinite.frameworks.torch.plain.carried_places import (
    GONE,
    Buffers,
    CarriedPlace,
    Holder,
    bound_globals,
    copy_of,
    differs,
    has_changed,
    is_same,
    is_written,
    looked_up,
    names_of,
    num_bytes,
    value_at,
    with_copies,
    write_back,
)
from stayfinite.frameworks.torch.plain.own_attributes import MAX_BYTES

# The first steps of a loop show which places are bound anew. Meanwhile all of them are kept.
_NUM_LEARNING = 4


class CarriedNotes:
    """Notes the places that the steps of a loop bind anew.

    Attributes:
        is_learning: Whether it is not known yet which they are.
    """

    def __init__(self) -> None:
        self.is_learning = False
        self._loop: SourceLoop | None = None
        self._num_looks = 0
        self._seen: dict[tuple[int, int, Any], CarriedPlace] = {}
        self._changed: dict[tuple[int, int, Any], CarriedPlace] = {}
        self._written: set[tuple[int, int, Any]] = set()

    def created(
        self, frames: Iterable[FrameType], copied: Collection[torch.Tensor]
    ) -> list[CarriedPlace]:
        """The places at an optimizer that is made, before a loop; for `copied` see `ended`."""
        self._loop = None
        return _places(looked_up([names_of(frame) for frame in frames]), copied)

    def ended(
        self,
        frame: FrameType,
        loop: SourceLoop,
        roots: Sequence[torch.nn.Module],
        copied: Collection[torch.Tensor],
    ) -> list[CarriedPlace]:
        """The places at the end of a step of `loop`, whose next step may begin here.

        Args:
            frame: Runs the loop.
            loop: The loop.
            roots: The modules that are trained.
            copied: Buffers of which copies are kept elsewhere.
        """
        if loop is not self._loop:
            self._loop, self._num_looks = loop, 0
            self._seen, self._changed, self._written = {}, {}, set()
        if self._num_looks >= _NUM_LEARNING:
            return self.now()
        self._num_looks += 1
        self.is_learning = self._num_looks < _NUM_LEARNING
        found = looked_up([names_of(frame)], roots, bound_globals(frame, loop))
        places = _places(found, copied)
        self._compare(places)
        if not self.is_learning:
            self._seen = {}
            return self.now()
        return places

    def now(self) -> list[CarriedPlace]:
        """The places that steps bind anew, with their present values."""
        if not self._changed:
            return []
        found: list[CarriedPlace] = []
        written: list[CarriedPlace] = []
        left = MAX_BYTES
        for number, place in self._changed.items():
            held = place.holder.of()
            now = GONE if held is None else value_at(held, place.key)
            if now is GONE:
                continue
            left -= num_bytes(now)
            if left >= 0:
                (written if number in self._written else found).append(place._replace(value=now))
        return found + with_copies(written)

    def _compare(self, places: Sequence[CarriedPlace]) -> None:
        seen: dict[tuple[int, int, Any], CarriedPlace] = {}
        for place in places:
            number = place.holder.owner_id, id(place.holder.of()), place.key
            seen[number] = place
            before = self._seen.get(number)
            if before is None:
                continue
            if not is_same(before.value, place.value):
                self._changed[number] = place._replace(value=None, copy=None)
            elif before.copy is not None and is_written(before):
                self._changed[number] = place._replace(value=None, copy=None)
                self._written.add(number)
        self._seen = seen


def _places(
    found: Iterable[tuple[Holder, list[CarriedPlace]]], copied: Collection[torch.Tensor]
) -> list[CarriedPlace]:
    without = {id(buffer) for buffer in copied}
    return with_copies(p for _, own in found for p in own if id(p.value) not in without)


class CarriedValues:
    """The values with which a step began, where it has bound them anew.

    Args:
        places: What was noted before the step.

    Attributes:
        attributes: The attributes among them: the identity of the object, and the name.
        lists: The identities of the lists among them.
    """

    def __init__(self, places: Iterable[CarriedPlace]) -> None:
        self._places = [place for place in places if has_changed(place)]
        self.attributes = frozenset((p.holder.owner_id, p.key) for p in self._places)
        self.lists = frozenset(p.holder.owner_id for p in self._places if p.key is None)
        self._ends: list[Any] | None = None
        self._are_written: list[bool] = []
        self._ends_written: list[tuple[Any, Any]] = []

    def __bool__(self) -> bool:
        return bool(self._places)

    @contextlib.contextmanager
    def begun(self) -> Iterator[None]:
        """In the block they are as where the step began; after it as they were."""
        before = self._read()
        self._set([place.value for place in self._places])
        written = [(p.value, copy_of(p.value)) for p in self._places if p.copy is not None]
        write_back((place.value, place.copy) for place in self._places if place.copy is not None)
        try:
            yield
        finally:
            self._set(before)
            write_back(written)

    @contextlib.contextmanager
    def begun_for_good(self) -> Iterator[None]:
        """The same, but after a block without an error they are as they were at `note_ends`."""
        self._ends, before = None, self._read()
        with self.begun():
            yield
        if self._ends is not None:
            pairs = zip(self._places, self._ends, before, strict=True)
            # What the run has not bound anew may have been bound after the update before.
            self._set([old if is_same(p.value, end) else end for p, end, old in pairs])
            write_back(self._ends_written)

    def note_ends(self) -> None:
        """The step that is made again is at its update."""
        self._ends = self._read()
        self._are_written = [p.copy is not None and differs(p) for p in self._places]
        arrays = [place.value for place in self._places if place.copy is not None]
        self._ends_written = [(array, copy_of(array)) for array in arrays]

    def as_now(self) -> CarriedValues:
        """The same places with the values of now."""
        now = CarriedValues(())
        pairs = zip(self._places, self._read(), strict=True)
        now._places = with_copies(place._replace(value=value) for place, value in pairs)
        return now

    def bound_by(self, run: CarriedValues) -> CarriedValues:
        """Of these places those that a run of the step has changed, which began with `run`."""
        if run._ends is None:
            return self
        pairs = zip(self._places, run._places, run._ends, run._are_written, strict=True)
        bound = [own for own, now, end, w in pairs if w or not is_same(now.value, end)]
        return self if len(bound) == len(self._places) else CarriedValues(bound)

    def put_back_buffers(self) -> None:
        """Give the buffers of modules the values with which the step began."""
        for place in self._places:
            held = place.holder.of()
            if held is not None and type(place.holder.of) is Buffers:
                held[place.key] = place.value
                if place.copy is not None:
                    write_back([(place.value, place.copy)])

    def _read(self) -> list[Any]:
        return [
            GONE if (held := place.holder.of()) is None else value_at(held, place.key)
            for place in self._places
        ]

    def _set(self, values: Sequence[Any]) -> None:
        for place, value in zip(self._places, values, strict=True):
            held = place.holder.of()
            if held is None:
                continue
            if place.key is None:
                if value is not GONE and not is_same(tuple(held), value):
                    held.clear()
                    held.extend(value)
            elif value is GONE:
                held.pop(place.key, None)
            else:
                held[place.key] = value
