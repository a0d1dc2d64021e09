"""Where the step of a loop begins and ends, and its data.

An iteration begins where its header draws a batch from a `DataLoader`. In a loop without one it
begins after the last update of the iteration before. What happened between two updates of the same
weights is one step: several draws where gradients are accumulated, two optimizers where a network
has an adversary.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from stayfinite.frameworks.names import unique
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain import trees
from stayfinite.frameworks.torch.plain.data import Iteration, LoopData
from stayfinite.frameworks.torch.plain.frames import user_frames, values_of
from stayfinite.frameworks.torch.plain.loops import SourceLoop, is_in_header, loop_around, loop_at
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
        """Weights were updated; what lies before the last such update is forgotten."""
        if place is None:
            self._events = []
        else:
            self._events = self._since(place)
        self._events.append(update)
        self._num_draws = sum(isinstance(event, Draw) for event in self._events)
        self.has_backward = self.lost_draws = False

    def step_at(self, place: StepPlace) -> tuple[Applied | None, list[Draw]]:
        """The update after which the step at `place` began, and the batches drawn since then."""
        events = self._since(place)
        first = events[0] if events else None
        draws = [event for event in events if isinstance(event, Draw)]
        return (first if isinstance(first, Applied) else None), draws

    @property
    def draws(self) -> list[Draw]:
        """The batches that were drawn, oldest first."""
        return [event for event in self._events if isinstance(event, Draw)]

    @property
    def last_update(self) -> Applied | None:
        """The last time that weights were updated."""
        updates = [event for event in self._events if isinstance(event, Applied)]
        return updates[-1] if updates else None

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
                line = event.lines.get(id(place.frame))
                first = place.loop.node.body[0].lineno
                if line is None or line >= place.line or line < first:
                    return self._events[number:]
        return list(self._events)


def readings_of(innermost: FrameType | None) -> dict[int, Reading]:
    """The loops that the user's frames are in, by the identity of the frame."""
    found = {}
    for frame in user_frames(innermost):
        loop = loop_at(frame.f_code, frame.f_lasti)
        if loop is not None:
            in_header = is_in_header(loop, frame.f_code, frame.f_lasti)
            names = [*(loop.read & loop.names), *loop.targets]
            values = values_of(frame, _local(frame, names))
            found[id(frame)] = Reading(loop, frame.f_lineno, in_header, values)
    return found


def lines_of(innermost: FrameType | None) -> dict[int, int]:
    """The line of each of the user's frames, by the identity of the frame."""
    return {id(frame): frame.f_lineno for frame in user_frames(innermost)}


def place_of(innermost: FrameType | None, draws: Sequence[Draw]) -> StepPlace | None:
    """The loop whose iteration makes the present step; None where there is none.

    It is the innermost loop around the update, in a frame that also drew the batches.
    """
    found: StepPlace | None = None
    for frame in user_frames(innermost):
        loop = loop_around(frame.f_code, frame.f_lasti)
        if loop is None:
            continue
        place = StepPlace(frame, loop, frame.f_lineno)
        if found is None:
            found = place
        if any(_is_header_of(draw, place) for draw in draws):
            return place
    return found


def data_at(place: StepPlace, events: Events) -> LoopData:
    """The data of the step at `place`, from what was noted when its iterations began."""
    began, draws = events.step_at(place)
    headers = [draw for draw in draws if _is_header_of(draw, place)]
    wanted = {*place.loop.read, *place.loop.targets}
    now = {**_global_data(place, wanted), **values_of(place.frame, _local(place.frame, wanted))}
    if headers:
        return _of_loader(place, headers, now, complete=not events.lost_draws)
    reading = None if began is None else began.readings.get(id(place.frame))
    early = place.loop.bound_before(place.line)
    values = dict(now)
    is_sure = not place.loop.bound.intersection(place.loop.targets)
    for name in place.loop.read & place.loop.bound & early:
        if reading is not None and name in reading.values and reading.loop is place.loop:
            values[name] = reading.values[name]
        else:
            is_sure = False
    if began is None:
        return LoopData((), "no update came before this one, so its beginning is not known")
    names = unique(["batch"] * len(draws))
    inside = {name: draw.batch for name, draw in zip(names, draws, strict=True)}
    iteration = _without_batch(place.loop, values, began.generators, inside)
    return LoopData((iteration,), is_sure=is_sure)


def was_written_to(draw: Draw) -> bool:
    """Whether a tensor of the batch has been written to since it was drawn."""
    return versions_of(draw.batch) != draw.versions


def versions_of(batch: object) -> tuple[int, ...]:
    """How often each tensor of a batch has been written to."""
    return tuple(
        private.writes_to(leaf) for _, leaf in trees.leaves(batch) if isinstance(leaf, torch.Tensor)
    )


def _is_header_of(draw: Draw, place: StepPlace) -> bool:
    reading = draw.readings.get(id(place.frame))
    return reading is not None and reading.in_header and reading.loop is place.loop


def _local(frame: FrameType, names: Any) -> list[str]:
    """The names that are variables of the frame; those of a module are all its globals."""
    code = frame.f_code
    if not code.co_flags & inspect.CO_OPTIMIZED:
        return [name for name in names if name in frame.f_globals]
    own = {*code.co_varnames, *code.co_cellvars, *code.co_freevars}
    return [name for name in names if name in own]


def _global_data(place: StepPlace, names: set[str]) -> dict[str, object]:
    """The arrays that a function reads as globals of its module."""
    frame = place.frame
    if not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        return {}
    code, held = frame.f_code, frame.f_globals
    others = names.difference(code.co_varnames, code.co_cellvars, code.co_freevars)
    return {name: held[name] for name in others if name in held and _is_data(held[name])}


def _of_loader(
    place: StepPlace, headers: list[Draw], now: dict[str, object], *, complete: bool
) -> LoopData:
    """One iteration for each batch that the header of the loop has drawn."""
    loop = place.loop
    target = batch_target(loop.node)
    iterations = []
    is_sure = True
    missing = None if complete else f"the step has more than {MAX_DRAWS} batches"
    for number, draw in enumerate(headers):
        began = dict(draw.readings[id(place.frame)].values)
        is_last = number == len(headers) - 1
        # The header binds its names after the draw: they are seen later.
        later = now if is_last else headers[number + 1].readings[id(place.frame)].values
        bound = bind(target, draw.batch)
        batch: dict[str, object] = {}
        values = {name: value for name, value in began.items() if name not in loop.targets}
        for name in loop.targets:
            if name not in loop.bound and name in later:
                value = later[name]
            elif bound is not None and name in bound:
                value = bound[name]
            elif name in later:
                value, is_sure = later[name], False
            else:
                continue
            has_arrays = any(True for _ in trees.leaves(value))
            (batch if has_arrays else values)[name] = value
        for name in loop.read - loop.bound:
            if name in now:
                values.setdefault(name, now[name])
        iterations.append(Iteration(values, batch, draw.generators))
    if any(was_written_to(draw) for draw in headers):
        missing = "the loop writes into its batch"
    return LoopData(tuple(iterations), missing, is_sure)


def _without_batch(
    loop: SourceLoop,
    values: Mapping[str, object],
    generators: Generators,
    draws: Mapping[str, object],
) -> Iteration:
    """An iteration of a loop that draws from no loader: its arrays are the batch."""
    wanted = [name for name in _in_order(loop) if name in values and _is_data(values[name])]
    of_header = [name for name in wanted if name in loop.targets]
    read = [name for name in wanted if name in loop.read]
    chosen = of_header or ([] if draws else read)
    batch = {name: values[name] for name in chosen}
    others = {name: value for name, value in values.items() if name not in batch}
    return Iteration(others, batch, generators, draws)


def _in_order(loop: SourceLoop) -> list[str]:
    """The names of a loop in the order in which they stand in the source."""
    nodes = [node for node in ast.walk(loop.node) if isinstance(node, ast.Name)]
    nodes.sort(key=lambda node: (node.lineno, node.col_offset))
    return list(dict.fromkeys(node.id for node in nodes))


def _is_data(value: object) -> bool:
    """Whether a value holds arrays that no backward pass goes through."""
    found = [leaf for _, leaf in trees.leaves(value)]
    return bool(found) and not any(getattr(leaf, "requires_grad", False) for leaf in found)


def batch_target(node: ast.For | ast.While) -> ast.expr | None:
    """The part of the target of a header that a batch is bound to: all but the number."""
    if not isinstance(node, ast.For):
        return None
    target, source = node.target, node.iter
    while isinstance(source, ast.Call):
        name = getattr(source.func, "attr", getattr(source.func, "id", ""))
        if name == "zip":
            return None
        if name == "enumerate":
            if not isinstance(target, ast.Tuple) or len(target.elts) != 2:
                return None
            target = target.elts[1]
        if not source.args:
            break
        source = source.args[0]
    return target


def bind(target: ast.expr | None, value: Any) -> dict[str, object] | None:
    """The names that the assignment of `value` to `target` binds; None where that is not known."""
    if isinstance(target, ast.Name):
        return {target.id: value}
    if isinstance(target, ast.Tuple | ast.List) and isinstance(value, list | tuple):
        if len(target.elts) != len(value):
            return None
        found: dict[str, object] = {}
        for element, part in zip(target.elts, value, strict=True):
            bound = bind(element, part)
            if bound is None:
                return None
            found.update(bound)
        return found
    return None
