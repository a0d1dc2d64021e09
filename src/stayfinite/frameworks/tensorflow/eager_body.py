"""The body of a loop around an eager update, as code that can be run again or with a patched text.

It is run from the statement on in which the step began to record gradients. The statements before
it, which draw the batch, are over, and the names that they have bound keep their values.
"""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Mapping, Sequence
from types import FrameType, FunctionType
from typing import Any

import keras
import numpy as np

from stayfinite.frameworks.frames import all_values_of
from stayfinite.frameworks.loop_code import LOCALS, body_code, module_code, once
from stayfinite.frameworks.patched_loop import PatchedLoop
from stayfinite.frameworks.source_bindings import bound_names, loaded_names, read_first
from stayfinite.frameworks.source_loops import SourceLoop
from stayfinite.frameworks.tensorflow.call_arguments import CallArguments, call_arguments, is_array
from stayfinite.frameworks.tensorflow.random_draws import EagerDraw
from stayfinite.frameworks.tensorflow.state import numpy_of
from stayfinite.frameworks.tensorflow.step_notes import EagerNotes, EagerReading


class EagerBody(PatchedLoop):
    """The body of a loop in a running frame, up to its update; a `RunningLoop`.

    Args:
        frame: The frame.
        loop: The loop.
        line: The line of the update.
        readings: What was noted of the iterations of the step, oldest first.
    """

    def __init__(
        self, frame: FrameType, loop: SourceLoop, line: int, readings: Sequence[EagerReading]
    ) -> None:
        super().__init__(loop)
        self._line = line
        self._readings = list(readings)
        self._held = all_values_of(frame)
        # Of a module a copy, so that its names are as they were after a run.
        self._globals = {**frame.f_globals} if self.is_of_module else frame.f_globals
        self._num_over = self._find_num_over()

    @property
    def names(self) -> dict[str, object]:
        """The globals that it runs in."""
        return self._globals

    @property
    def left_out(self) -> frozenset[str]:
        """The statements of its body that are over, as `ast.dump` gives them."""
        return frozenset(ast.dump(each) for each in self._body()[: self._num_over])

    @property
    def values(self) -> Mapping[str, object]:
        """What its names stood for when the last iteration began to record gradients."""
        held = {} if self.is_of_module else self._held
        last = self._readings[-1].beginning() if self._readings else {}
        return {**held, **last}

    @property
    def first_line(self) -> int:
        """The first line that is run."""
        return self._body()[self._num_over].lineno

    def data(self) -> CallArguments:
        """The arrays that the step reads, as arguments of `run`."""
        read, _ = read_first(self._body()[self._num_over :], frozenset())
        names = sorted(read & {*self.loop.bound, *self.loop.targets, *self.loop.read})
        if len(self._readings) > 1:
            given: dict[str, object] = {
                name: [reading.beginning()[name] for reading in self._readings]
                for name in names
                if all(_has_arrays(reading.beginning().get(name)) for reading in self._readings)
            }
        else:
            held = self._begins_with(0)
            given = {name: held[name] for name in names if _has_arrays(held.get(name))}
        return call_arguments(self.run, (), given).given_as()

    def run(self, **given: Any) -> None:
        """Run the body once for each iteration of the step, with other values of `data`."""
        number_of = max(1, len(self._readings))
        if self._readings:
            self._readings[0].generators.restore()
        carried: Mapping[str, object] = {}
        for number in range(number_of):
            values = {**self._begins_with(number), **carried}
            for name, value in given.items():
                values[name] = value[number] if number_of > 1 else value
            after = self._run(values, is_last=number == number_of - 1)
            names = self.loop.read & self.loop.bound - {*self.loop.targets}
            carried = {name: after[name] for name in names if name in after}

    def draws_of(self, notes: EagerNotes, frame: FrameType) -> list[EagerDraw]:
        """The random numbers that `run` needs of those that were drawn."""
        first, key = self.first_line, id(frame)
        since = self._readings[0].num_draws if self._readings and self._num_over else 0
        found: list[EagerDraw] = []
        for draw in notes.draws[since:]:
            line = draw.lines.get(key)
            if line is not None and first <= line <= max(self._line, self._last_line):
                found.append(draw)
        return found

    @property
    def _last_line(self) -> int:
        """The last line that is run of an iteration that is not the last one."""
        return 0 if len(self._readings) < 2 else self.loop.node.body[-1].lineno

    def _begins_with(self, number: int) -> dict[str, object]:
        """The values of the names of its frame when an iteration begins."""
        read = self._readings[number].beginning() if self._readings else {}
        return {**self._held, **read}

    def _run(self, values: dict[str, object], *, is_last: bool) -> Mapping[str, object]:
        statement = self.statement()
        body = statement.body[self._num_over :]
        if is_last:
            # A patch may add lines, and no statement.
            body = body[: sum(s.lineno <= self._line for s in self._body()) - self._num_over]
        if self.is_of_module:
            names = {**self._globals, **values}
            exec(module_code(self.loop, [once(statement, body)]), names)
            return names
        names = {name: value for name, value in values.items() if name.isidentifier()}
        names[LOCALS] = locals
        code = body_code(self.loop, statement, tuple(sorted(names)), body)
        found = FunctionType(code, self._globals)(**names)
        # A body that returns by itself hands nothing on.
        return found if isinstance(found, dict) else {}

    def _find_num_over(self) -> int:
        """How many statements of the body are not run."""
        if not self._readings:
            return 0
        line = self._readings[0].line
        body = self._body()
        num_over = max(sum(statement.lineno <= line for statement in body) - 1, 0)
        wanted = set().union(*map(loaded_names, body[num_over:]))
        held = self._readings[-1].values
        for statement in body[:num_over]:
            names = bound_names(statement) & wanted
            if any(not _is_finite(held.get(n)) for n in names) and self._computes(statement):
                # The failing line is in it.
                return 0
        return num_over

    def _computes(self, statement: ast.stmt) -> bool:
        """Whether a layer of Keras is called."""
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                called = _value_of(node.func, self._held | self._globals)
                if isinstance(called, keras.Layer):
                    return True
        return False

    def _body(self) -> list[ast.stmt]:
        return self.loop.node.body


def _value_of(node: ast.expr, names: Mapping[str, object]) -> object:
    """The object that a name or an attribute of it stands for; None where it is not known."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return inspect.getattr_static(_value_of(node.value, names), node.attr, None)
    return None


def _has_arrays(value: object) -> bool:
    return any(is_array(leaf) for leaf in keras.tree.flatten(value))


def _is_finite(value: object) -> bool:
    """Whether no number of a value is known to be non-finite."""
    for leaf in keras.tree.flatten(value):
        if isinstance(leaf, float) and not math.isfinite(leaf):
            return False
        if is_array(leaf):
            array = numpy_of(leaf)
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                return False
    return True
