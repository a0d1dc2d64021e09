"""The data of a step of a loop, from what was noted while it was made.

It is made only for a step that is explained or compared with.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stayfinite.frameworks.frames import values_of
from stayfinite.frameworks.names import unique
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.source_loops import SourceLoop
from stayfinite.frameworks.torch.plain import trees
from stayfinite.frameworks.torch.plain.data import Iteration, LoopData
from stayfinite.frameworks.torch.plain.passes import Pass, rounds_of
from stayfinite.frameworks.torch.plain.randomness import Following, Generators
from stayfinite.frameworks.torch.plain.step_readings import has_header
from stayfinite.frameworks.torch.plain.steps import (
    MAX_DRAWS,
    Applied,
    Draw,
    Reading,
    StepPlace,
    Take,
    versions_of,
)
from stayfinite.frameworks.torch.plain.taken_items import (
    TakenItem,
    items_of,
    noted_items,
    of_last_iteration,
    part_of,
    with_own,
)
from stayfinite.frameworks.torch.plain.targets import batch_target, bind


@dataclass(frozen=True)
class AfterStatements:
    """The names that statements have bound, and the random generators after them."""

    values: Mapping[str, object]
    generators: Generators


# Runs statements of the body on values of names; None where they cannot be run without an effect.
Run = Callable[[list[ast.stmt], Mapping[str, object], Generators], AfterStatements | None]


class NotedStep(NamedTuple):
    """What was noted of one step of a loop. It holds no frame.

    Attributes:
        loop: The loop.
        frame_id: The identity of its frame.
        line: The line of the update.
        events: Its draws and updates, and the update after which it began.
        now: Values of names at the update.
        of_module: Of a loop in a function, what it reads as globals of its module.
        passes: The backward passes that were noted.
        is_complete: Whether no batch of the step was forgotten.
        takes: The items that the loop took by `next`.
    """

    loop: SourceLoop
    frame_id: int
    line: int
    events: Sequence[Draw | Applied]
    now: Mapping[str, object]
    of_module: Mapping[str, object]
    passes: Sequence[Pass]
    is_complete: bool
    takes: Sequence[Take] = ()

    @property
    def began(self) -> Applied | None:
        """The update after which the step began."""
        first = self.events[0] if self.events else None
        return first if isinstance(first, Applied) else None

    @property
    def draws(self) -> Sequence[Draw]:
        """The batches that loaders gave."""
        return [event for event in self.events if isinstance(event, Draw)]

    @property
    def headers(self) -> Sequence[Draw]:
        """Those that the header of the loop has drawn."""
        return [each for each in self.draws if has_header((each,), self.frame_id, self.loop)]

    @property
    def inside(self) -> Sequence[Draw]:
        """Those that were drawn in the body, where the header has drawn none."""
        return [] if self.headers else self.draws

    @property
    def nbytes(self) -> int:
        """Bytes of these batches."""
        return sum([draw.nbytes for draw in self.draws])

    def data(self, run: Run | None) -> LoopData:
        """The iterations of the step.

        Args:
            run: Runs statements of the body; None where there is no body to run.
        """
        arrays = {name: value for name, value in self.of_module.items() if _is_data(value)}
        step = self._replace(now={**self.now, **arrays})
        return _of_loader(step) if self.headers else _without_loader(step, run)


def note_step(
    place: StepPlace,
    events: Sequence[Draw | Applied],
    passes: Sequence[Pass],
    takes: Sequence[Take] = (),
    *,
    is_complete: bool,
) -> NotedStep:
    """Note the step whose update is at `place`."""
    frame, loop, line, _ = place
    held = frame.f_globals
    others = {name: held[name] for name in loop.globals_read if name in held}
    now = values_of(frame, loop.wanted)
    return NotedStep(loop, id(frame), line, events, now, others, passes, is_complete, takes)


def _without_loader(step: NotedStep, run: Run | None) -> LoopData:
    """The iteration that began after the update before it, and those up to this update."""
    loop, began = step.loop, step.began
    passes = () if step.draws else step.passes
    if began is None:
        return LoopData((), WhyNot(Obstacle.NO_EARLIER_UPDATE))
    reading = began.readings.get(step.frame_id)
    values = dict(step.now)
    generators = began.generators
    before: Mapping[str, object] = {} if reading is None else reading.values
    is_sure = not loop.bound.intersection(loop.targets)
    if reading is not None and reading.spot.at is loop and (tail := loop.tail(reading.spot.line)):
        after = None if run is None else run(tail, before, generators)
        if after is None:
            is_sure = False
        else:
            before, generators = {**before, **after.values}, after.generators
    rounds, items = rounds_of(passes, step.frame_id, loop)
    if rounds and rounds[-1].line <= step.line:
        items = {**rounds.pop().items, **items}
    counted = [] if rounds or step.draws or step.takes else _counted(loop, reading, step.now)
    early = loop.bound if rounds or counted else loop.bound_before(step.line)
    for name in (loop.read & loop.bound & early).difference(loop.taken):
        if reading is not None and name in before and reading.spot.at is loop:
            values[name] = before[name]
        else:
            is_sure = False
    takes = [take for take in step.takes if take.statement.lineno <= step.line]
    if not rounds:
        takes = of_last_iteration(takes, loop)
    # Their items hold what the loader gave.
    are_of_loader = sum([take.num_draws for take in takes]) == len(step.inside)
    known = items_of(takes) if are_of_loader else {}
    draws = [] if known else step.inside
    names = unique(["batch"] * len(draws))
    inside = {name: TakenItem(d.batch, d.generators) for name, d in zip(names, draws, strict=True)}
    iterations = []
    for each in rounds:
        of_header = {n: v for n, v in each.values.items() if n in loop.targets}
        own = noted_items(with_own(each.items, loop, each.values), known)
        iterations.append(_without_batch(loop, {**values, **of_header}, generators, inside, own))
        generators = each.after
    for number in counted:
        iterations.append(_without_batch(loop, {**values, **number}, generators, {}, {}))
        generators = Following(*generators)
    taken: Mapping[str, Sequence[TakenItem]] = known
    if rounds or not known:
        taken = {} if draws else noted_items(with_own(items, loop, values), known)
    iterations.append(_without_batch(loop, values, generators, inside, taken))
    return LoopData(tuple(iterations), is_sure=is_sure)


def _counted(
    loop: SourceLoop, reading: Reading | None, now: Mapping[str, object]
) -> list[dict[str, object]]:
    """What the header of a loop over a range bound in the iterations since the last update.

    Without the last iteration, which makes the update. Such a loop has added up losses, or a state
    that is differentiated.
    """
    header = loop.counted
    if header is None or reading is None or reading.spot.at is not loop or loop.bound & {header[0]}:
        return []
    name, by = header
    first, last = reading.values.get(name), now.get(name)
    if not isinstance(first, int) or not isinstance(last, int) or not by:
        return []
    numbers = range(first + by, last, by)
    return [{name: number} for number in numbers] if len(numbers) < MAX_DRAWS else []


def _was_written_to(draw: Draw) -> bool:
    return versions_of(draw.batch) != draw.versions


def _of_loader(step: NotedStep) -> LoopData:
    """One iteration for each batch that the header of the loop has drawn."""
    loop, headers, now = step.loop, step.headers, step.now
    target = batch_target(loop.node)
    iterations = []
    is_sure = True
    missing = None
    if not step.is_complete:
        missing = WhyNot(Obstacle.TOO_MANY_BATCHES, number=MAX_DRAWS)
    known = items_of([take for take in step.takes if take.statement.lineno <= step.line])
    is_even = all(len(items) % len(headers) == 0 for items in known.values())
    for number, draw in enumerate(headers):
        began = dict(draw.readings[step.frame_id].values)
        is_last = number == len(headers) - 1
        # The header binds its names after the draw: they are seen later.
        later: Mapping[str, object] = (
            now if is_last else headers[number + 1].readings[step.frame_id].values
        )
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
            is_drawn = has_arrays or trees.is_list_of_numbers(value)
            (batch if is_drawn else values)[name] = value
        for name in loop.read - loop.bound:
            if name in now:
                values.setdefault(name, now[name])
        taken = {name: part_of(items, number, len(headers)) for name, items in known.items()}
        iterations.append(_iteration(values, batch, draw.generators, {}, taken if is_even else {}))
    if any(_was_written_to(draw) for draw in headers):
        missing = WhyNot(Obstacle.LOOP_WRITES_BATCH)
    return LoopData(tuple(iterations), missing, is_sure)


def _without_batch(
    loop: SourceLoop,
    values: Mapping[str, object],
    generators: Generators,
    draws: Mapping[str, TakenItem],
    taken: Mapping[str, Sequence[TakenItem]],
) -> Iteration:
    """An iteration of a loop that draws from no loader: its arrays are the batch."""
    wanted = [name for name in _in_order(loop) if name in values and _is_data(values[name])]
    of_header = [name for name in wanted if name in loop.targets]
    read = [name for name in wanted if name in loop.read]
    chosen = of_header or ([] if draws or any(taken.values()) else read)
    batch = {name: values[name] for name in chosen}
    others = {name: value for name, value in values.items() if name not in batch}
    return _iteration(others, batch, generators, draws, taken)


def _iteration(
    values: Mapping[str, object],
    batch: Mapping[str, object],
    generators: Generators,
    draws: Mapping[str, TakenItem],
    taken: Mapping[str, Sequence[TakenItem]],
) -> Iteration:
    found = [(name, item) for name, own in taken.items() for item in own]
    names = unique([name for name, _ in found])
    draws = {**draws, **{name: item for name, (_, item) in zip(names, found, strict=True)}}
    taken_as: dict[str, list[str]] = {}
    for name, (own_name, _) in zip(names, found, strict=True):
        taken_as.setdefault(own_name, []).append(name)
    given = {name: item.value for name, item in draws.items()}
    drawn = {n: each.generators for n, each in draws.items() if each.generators is not None}
    return Iteration(values, batch, generators, given, drawn, taken_as)


def _in_order(loop: SourceLoop) -> list[str]:
    """The names of a loop in the order in which they stand in the source."""
    nodes = [node for node in ast.walk(loop.node) if isinstance(node, ast.Name)]
    nodes.sort(key=lambda node: (node.lineno, node.col_offset))
    return list(dict.fromkeys(node.id for node in nodes))


def _is_data(value: object) -> bool:
    """Whether a value holds arrays that no backward pass goes through."""
    found = [leaf for _, leaf in trees.leaves(value)]
    return bool(found) and not any(getattr(leaf, "requires_grad", False) for leaf in found)
