"""Backward passes of a step that accumulates gradients over data of the user's own.

Where no loader draws the batches, an iteration is known by its backward pass: names of the user's
frames have its batch then. The first steps show whether there is more than one in a step; only
then are they noted.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stayfinite.frameworks.source_loops import SourceLoop
from stayfinite.frameworks.torch.plain.positions import Position
from stayfinite.frameworks.torch.plain.randomness import PROBED_STEPS, GeneratorNotes, Generators
from stayfinite.frameworks.torch.plain.step_readings import loop_readings_of
from stayfinite.frameworks.torch.plain.steps import MAX_DRAWS, Reading


class Pass(NamedTuple):
    """What the user's frames held when a backward pass began, and the generators after it."""

    readings: Mapping[int, Reading]
    generators: Generators


class Round(NamedTuple):
    """One iteration of a loop in a step.

    Attributes:
        line: The line of its last backward pass.
        values: What names of the loop stood for then.
        items: By a name that is bound to `next(...)`, what loops inside the body bound it to.
        after: The generators after the pass.
    """

    line: int
    values: Mapping[str, object]
    items: Mapping[str, Sequence[object]]
    after: Generators


class PassNotes:
    """Notes the backward passes since the last update.

    Args:
        generators: Reads the random generators.

    Attributes:
        is_noting: Whether a step may have several passes; if not, nothing is to be called.
    """

    def __init__(self, generators: GeneratorNotes) -> None:
        self.is_noting = True
        self._generators = generators
        self._begun: Mapping[int, Reading] = {}
        self._ended: list[Pass] = []
        self._num_steps = 0
        self._accumulates = False

    def began(self, positions: Sequence[Position]) -> None:
        """A backward pass begins."""
        self._begun = loop_readings_of(positions)

    def ended(self) -> None:
        """It is over."""
        if len(self._ended) < MAX_DRAWS:
            self._ended.append(Pass(self._begun, self._generators.now()))
        self._begun = {}

    def forget(self) -> None:
        """No pass until now is one of the next step."""
        self._begun = {}
        self._ended.clear()

    def of_step(self) -> Sequence[Pass]:
        """The passes of the present step, oldest first."""
        return tuple(self._ended)

    def step_ended(self, *, draws: bool) -> None:
        """An update was made; `draws`: a loader gave its batches, so that nothing is needed."""
        self._num_steps += 1
        self._accumulates |= len(self._ended) > 1 and not draws
        self._ended.clear()
        self.is_noting = self._accumulates or self._num_steps < PROBED_STEPS


def rounds_of(
    passes: Sequence[Pass], frame_id: int, loop: SourceLoop
) -> tuple[list[Round], Mapping[str, Sequence[object]]]:
    """The iterations of `loop` that end in a pass, and the items after the last of them."""
    found: list[Round] = []
    items: dict[str, Sequence[object]] = {}
    inside = {id(node) for node in ast.walk(loop.node)}
    before: Reading | None = None
    for each in passes:
        reading = each.readings.get(frame_id)
        around = None if reading is None else reading.spot.around
        if reading is None or around is None or id(around.node) not in inside:
            continue
        is_same = before is not None and before.spot.around is around
        goes_on = is_same and before is not None and before.spot.line < reading.spot.line
        if around is loop:
            if goes_on and found:
                items = {**items, **found.pop().items}
            found.append(Round(reading.spot.line, reading.values, items, each.generators))
            items = {}
        elif not goes_on:
            for name in around.taken:
                items[name] = [*items.get(name, ()), reading.values.get(name)]
        before = reading
    return found, items
