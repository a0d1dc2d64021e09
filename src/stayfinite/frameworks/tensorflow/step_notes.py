"""What is noted of an eager step while the user's code makes it.

An iteration of a loop is noted where it begins to record gradients: the values that its names have
there. What the body did before that, as drawing the batch, is over by then.
"""

from __future__ import annotations

import functools
import random
import sys
from collections.abc import Mapping, Sequence
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from stayfinite.frameworks.frames import user_frames, values_of
from stayfinite.frameworks.source_loops import SourceLoop, innermost_loop
from stayfinite.frameworks.tensorflow.guard_sentinel import VariableValues
from stayfinite.frameworks.tensorflow.random_draws import MAX_BYTES, EagerDraw

# Iterations of one step that are kept; a step of more is not made again.
MAX_ITERATIONS = 64
# So many steps show whether a loop draws from NumPy or Python, whose states take longer to copy.
_PROBED_STEPS = 3


class NamedGenerators(NamedTuple):
    """Generators of NumPy that a loop has under a name, each with its state."""

    states: tuple[tuple[np.random.Generator, Any], ...] = ()

    def restore(self) -> None:
        """Set the generators to these states."""
        for generator, state in self.states:
            generator.bit_generator.state = state


class EagerReading(NamedTuple):
    """What a frame held for a loop when the iteration began to record gradients.

    Attributes:
        line: The line that the frame was at.
        values: The values of names of the loop.
        num_draws: How many random numbers the step had drawn before.
        lengths: How many items each of the lists among the values had.
        generators: Generators that the loop reads.
    """

    line: int
    values: Mapping[str, object]
    num_draws: int
    lengths: Mapping[str, int]
    generators: NamedGenerators

    def beginning(self) -> dict[str, object]:
        """The values, with lists as they were before the iteration added to them."""
        found = dict(self.values)
        for name, length in self.lengths.items():
            value = found[name]
            if isinstance(value, list):
                found[name] = value[:length]
        return found


class _Around(NamedTuple):
    """A loop around a line; `names` are those of its body that have to be noted there."""

    loop: SourceLoop
    is_innermost: bool
    names: tuple[str, ...]


class _Iterations:
    """The iterations of one loop in one frame; `order` tells where the last one was seen."""

    def __init__(self, order: tuple[int, ...]) -> None:
        self.order = order
        self.readings: list[EagerReading] = []


class HostGenerators(NamedTuple):
    """States of the generators of NumPy and Python; None for one that is not drawn from."""

    numpy: Any = None
    python: Any = None

    def restore(self) -> None:
        """Set the generators to these states."""
        if self.numpy is not None:
            np.random.set_state(self.numpy)
        if self.python is not None:
            random.setstate(self.python)


class _Early(NamedTuple):
    """A variable that was assigned before gradients were recorded, and its value before that."""

    variable: tf.Variable
    value: Any
    lines: dict[int, int]


class EagerNotes:
    """What happened since the last update.

    Args:
        generators: The states of the generators at that update.

    Attributes:
        losses: What was differentiated, without a loss scale.
        assigned: The variables that the user's code assigned since it began to record gradients,
            with their values before.
        draws: The random numbers that TensorFlow drew.
        has_lost: Whether there were more draws or iterations than are kept.
    """

    def __init__(self, generators: HostGenerators) -> None:
        self.generators = generators
        self.losses: list[Any] = []
        self.assigned = VariableValues()
        self.draws: list[EagerDraw] = []
        self.has_lost = False
        self._early: dict[int, _Early] = {}
        self._num_bytes = 0
        self._iterations: dict[tuple[int, int], _Iterations] = {}
        # The frames in which gradients were last recorded, outermost first, by identity and code.
        self._recorded_in: tuple[tuple[int, CodeType], ...] = ()

    @property
    def is_recording(self) -> bool:
        """Whether a gradient tape was entered."""
        return bool(self._iterations)

    def assigns(self, variable: tf.Variable) -> None:
        """The user's code is about to assign a variable."""
        if self.is_recording:
            self.assigned.save([variable])
        elif id(variable) not in self._early:
            value = VariableValues()
            value.save([variable])
            self._early[id(variable)] = _Early(*value.old[id(variable)], _lines_now())

    def had(self, before: VariableValues) -> None:
        """A compiled function has assigned variables, which had the values `before`."""
        self.assigned.old = {**before.old, **self.assigned.old}

    def assigned_variables(self) -> list[tf.Variable]:
        """The variables that were assigned."""
        early = [each.variable for each in self._early.values()]
        return [*early, *(variable for variable, _ in self.assigned.old.values())]

    def assigned_in(self, frame: FrameType, first_line: int, line: int) -> VariableValues:
        """`assigned`, with what was assigned before that between two lines of a frame."""
        found = VariableValues()
        for key, early in self._early.items():
            if first_line <= early.lines.get(id(frame), line) < line:
                found.old[key] = early.variable, early.value
        found.old = {**self.assigned.old, **found.old}
        return found

    def drew(self, kind: str, value: Any) -> None:
        """A random operation gave `value`."""
        self._num_bytes += value.shape.num_elements() * value.dtype.size
        if self._num_bytes > MAX_BYTES:
            self.has_lost = True
            return
        self.draws.append(EagerDraw(kind, value, _lines_now()))

    def begins_to_record(self) -> None:
        """A gradient tape was entered."""
        inside: tuple[int, ...] = ()
        frames = list(user_frames(sys._getframe(1)))
        self._recorded_in = tuple((id(frame), frame.f_code) for frame in reversed(frames))
        for frame in frames:
            inside = (frame.f_lasti, *inside)
            for around in _loops_around(frame.f_code, frame.f_lineno):
                self._read(frame, around, inside)

    def _read(self, frame: FrameType, around: _Around, order: tuple[int, ...]) -> None:
        key = id(frame), around.loop.number
        found = self._iterations.get(key)
        if found is None:
            found = self._iterations[key] = _Iterations(order)
        elif (
            order > found.order
            if around.is_innermost
            # An inner loop comes back to the same place.
            else order[0] >= found.order[0]
        ):
            found.order = order
            return
        found.order = order
        if len(found.readings) == MAX_ITERATIONS:
            self.has_lost = True
            return
        values = values_of(frame, around.names)
        lengths = {name: len(v) for name, v in values.items() if type(v) is list}
        generators = _generators(frame, around.names, values)
        reading = EagerReading(frame.f_lineno, values, len(self.draws), lengths, generators)
        found.readings.append(reading)

    def join(self, later: EagerNotes) -> None:
        """Add the notes of a later update of the same step."""
        self.losses += later.losses
        self.draws += later.draws
        self.has_lost |= later.has_lost
        self._recorded_in = later._recorded_in or self._recorded_in
        is_first = not self._iterations
        for key, early in later._early.items():
            if is_first:
                self._early[key] = early
            else:
                self.assigned.old.setdefault(key, (early.variable, early.value))
        for key, pair in later.assigned.old.items():
            self.assigned.old.setdefault(key, pair)
        for place, iterations in later._iterations.items():
            # Of several updates, the step is one iteration.
            known = self._iterations.setdefault(place, _Iterations(iterations.order))
            known.readings = known.readings or iterations.readings[:1]

    def around(self, frames: Sequence[FrameType]) -> list[FrameType]:
        """Those of the running frames, innermost first, that also recorded the gradients.

        A function that was called for the gradients, or for the update alone, is not the step.
        """
        found: list[FrameType] = []
        for frame, place in zip(reversed(frames), self._recorded_in, strict=False):
            # The memory of a frame that has ended is used again.
            if (id(frame), frame.f_code) != place:
                break
            found.insert(0, frame)
        return found or list(frames)

    def readings(self, frame: FrameType, loop: SourceLoop) -> list[EagerReading]:
        """The iterations of a loop, oldest first."""
        found = self._iterations.get((id(frame), loop.number))
        return [] if found is None else found.readings


def joined(parts: list[EagerNotes]) -> EagerNotes:
    """The notes of updates that are one step, as one."""
    whole = EagerNotes(parts[0].generators)
    for part in parts:
        whole.join(part)
    return whole


class GeneratorProbe:
    """Notes the states of the generators of the host, as far as steps draw from them."""

    def __init__(self) -> None:
        self._num_probed = 0
        self._numpy = self._python = False
        self._began = HostGenerators()

    def now(self) -> HostGenerators:
        """The present states; called at the end of each step."""
        if self._num_probed <= _PROBED_STEPS:
            everything = HostGenerators(np.random.get_state(), random.getstate())
            if self._num_probed:
                before, after = self._began.numpy, everything.numpy
                self._numpy |= before[2] != after[2] or not np.array_equal(before[1], after[1])
                self._python |= self._began.python != everything.python
            self._num_probed += 1
            self._began = everything
            return everything
        if not (self._numpy or self._python):
            return HostGenerators()
        return HostGenerators(
            np.random.get_state() if self._numpy else None,
            random.getstate() if self._python else None,
        )


def _generators(
    frame: FrameType, names: tuple[str, ...], values: Mapping[str, object]
) -> NamedGenerators:
    """The generators of NumPy among the values of names, in `values` or in the module."""
    others = frame.f_globals
    held = [values[name] if name in values else others.get(name) for name in names]
    states = [(v, v.bit_generator.state) for v in held if isinstance(v, np.random.Generator)]
    return NamedGenerators(tuple(states))


def _lines_now() -> dict[int, int]:
    """The line of each running frame of the user's, by its identity."""
    return {id(frame): frame.f_lineno for frame in user_frames(sys._getframe(2))}


@functools.lru_cache(maxsize=1024)
def _loops_around(code: CodeType, line: int) -> tuple[_Around, ...]:
    """The loops of `code` around a line, innermost first."""
    found: list[_Around] = []
    loop = innermost_loop(code, line, in_header=False)
    while loop is not None:
        names = {*loop.read, *loop.targets, *loop.bound_before(line)} & {*loop.names}
        found.append(_Around(loop, not found, tuple(sorted(names))))
        loop = innermost_loop(code, loop.line, in_header=False, around=loop)
    return tuple(found)
