"""The runs of an eager step as it is: its result, its graph, what failed in it, its arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from stayfinite.frameworks.batch import ROLES, Batch
from stayfinite.frameworks.recording.axes import batch_axes, other_size
from stayfinite.frameworks.recording.engine import EagerResult, Engine
from stayfinite.frameworks.recording.recording import Enough, Recording, Shape, until_enough
from stayfinite.frameworks.recording.translate import translate
from stayfinite.frameworks.state import State
from stayfinite.frameworks.step import Roots, at_fault
from stayfinite.graph.graph import Graph
from stayfinite.graph.walk import roots
from stayfinite.strict import caught, is_internal

# Bytes of fetched arrays that are kept, since many are needed twice.
_CACHE_BYTES = 64 * 2**20

InPlace = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Survey:
    """One recorded run: its ops, its result, and which op results were finite."""

    recording: Recording
    result: EagerResult
    finite: dict[int, bool]


class StepRuns:
    """What is known of a step by running it; each kind of run is made once.

    Args:
        engine: Runs the step.
        state: Values, all tensors of the framework.
        batch: Its arrays, all tensors of the framework.
        in_place: Each run is made inside it.
    """

    def __init__(self, engine: Engine, state: State, batch: Batch, in_place: InPlace) -> None:
        self.engine = engine
        self.state = state
        self.batch = batch
        self.in_place = in_place
        self._result: EagerResult | None = None
        self._arrays: dict[int, np.ndarray] = {}

    @property
    def result(self) -> EagerResult:
        """What the step gave: from the run of `survey` where that has been made."""
        if self._result is None:
            with self.in_place():
                self._result = self.engine.run(self.state, self.batch)
        return self._result

    def after(self) -> State:
        """The whole state after the step."""
        result = self._result
        if result is None or result.after is None:
            with self.in_place():
                result = self.engine.run(self.state, self.batch, keep_after=True)
            self._result = result
        assert result.after is not None
        return result.after

    @functools.cached_property
    def survey(self) -> Survey:
        """The run of all ops, with the place of each."""
        finite: dict[int, bool] = {}

        def visit(number: int, tensor: Any) -> None:
            finite[number] = self.engine.is_finite(tensor)

        recording = self._recording(visit, places=True)
        with self.in_place():
            result = self.engine.run(self.state, self.batch, recording)
        self._result = self._result or result
        return Survey(recording, result, finite)

    @functools.cached_property
    def graph(self) -> Graph:
        """The step op by op."""
        survey = self.survey
        assert survey.result.outputs is not None
        samples = self.batch.num_samples
        return translate(
            self.engine.subject.layer_path,
            survey.recording,
            survey.result.outputs,
            self._axes(samples),
            samples,
        )

    def _recording(self, visit: Callable[[int, Any], None], *, places: bool = False) -> Recording:
        boundary = type(self.engine).run.__code__
        return Recording(boundary, visit, self.engine.numpy, places=places)

    def _axes(self, samples: int | None) -> dict[int, int]:
        recording = self.survey.recording
        if samples is None:
            return {}
        leaves = {
            number: 0
            for number, (role, _) in recording.leaves.items()
            if role in ROLES and recording.shapes[number].shape[:1] == (samples,)
        }
        probe = self._probe(samples)
        return batch_axes(recording.ops, recording.shapes, leaves, samples, probe)

    def _probe(self, samples: int) -> list[Shape]:
        """Shapes of the forward values with another number of samples; empty where that fails."""
        expected = self.survey.recording.ops
        probe: Recording | None = None

        def visit(number: int, tensor: Any) -> None:
            assert probe is not None
            if probe.ops and expected[len(probe.ops) - 1].backward:
                raise Enough

        other = self.batch.resized(other_size(samples)).map(self.engine.tensor)
        probe = self._recording(visit)
        try:
            with until_enough(), self.in_place(), np.errstate(all="ignore"):
                self.engine.run(self.state, other, probe)
        except Exception as error:
            # A network may be built for one batch size; the axes are then found by their sizes.
            if is_internal(error):
                caught("running the step on another number of samples", error)
            return []
        same = zip(probe.ops, expected, strict=False)
        alike = all((a.name, a.results) == (b.name, b.results) for a, b in same)
        return probe.shapes if alike else []

    def roots(self) -> Roots:
        """The non-finite leaves, and the ops that made a non-finite result of finite operands."""
        survey = self.survey
        leaves = self._leaves().items()
        bad_leaves = {n for n, tensor in leaves if not self.engine.is_finite(tensor)}

        def is_bad(value: int) -> bool:
            # A constant of the code is part of the op that reads it.
            if value in survey.recording.large_constants:
                return False
            return value in bad_leaves or not survey.finite.get(value, True)

        graph = self.graph
        bad_state = survey.result.bad_state
        kept = {n for name, n in graph.new_state.items() if name not in bad_state}
        sinks = [sink for sink in graph.sinks() if sink not in kept]
        found, harmful = roots(graph.ops, is_bad, sinks)
        reached = [graph.leaves[n] for n in sorted(bad_leaves & harmful)]
        return Roots(at_fault(reached, found, self._may_keep_infinity()), found)

    def _may_keep_infinity(self) -> set[int]:
        numbers = self.survey.recording.leaves  # of the batch, too
        named = zip(numbers, self.engine.named_state(self.state), strict=False)
        return {
            number
            for number, value in named
            if value.may_keep_infinity and not np.isnan(self.engine.numpy(value.value)).any()
        }

    def _leaves(self) -> dict[int, Any]:
        """The tensors of batch and state, by number."""
        tensors = [named.value for named in self.engine.named_state(self.state)]
        tensors += [leaf.value for leaf in self.batch.leaves]
        return dict(zip(self.survey.recording.leaves, tensors, strict=True))

    def fetch(self, values: Iterable[int]) -> dict[int, np.ndarray]:
        """The arrays of a few values, by one more run unless they came in or are held."""
        wanted = list(values)
        leaves, constants = self._leaves(), self.survey.recording.constants
        found: dict[int, np.ndarray] = {}
        for value in wanted:
            if value in leaves:
                found[value] = self.engine.numpy(leaves[value])
            elif value in constants:
                found[value] = constants[value]
            elif value in self._arrays:
                found[value] = self._arrays[value]
        missing = set(wanted).difference(found)
        if missing:
            found.update(self._captured(missing))
        return {value: found[value] for value in wanted}

    def _captured(self, missing: set[int]) -> dict[int, np.ndarray]:
        captured: dict[int, np.ndarray] = {}

        def visit(number: int, tensor: Any) -> None:
            if number in missing:
                # A copy: the tensor may be written to later in the step.
                captured[number] = np.array(self.engine.numpy(tensor))
                if len(captured) == len(missing):
                    raise Enough

        with until_enough(), self.in_place():
            self.engine.run(self.state, self.batch, self._recording(visit))
        held = self._arrays
        if sum(a.nbytes for a in (*held.values(), *captured.values())) <= _CACHE_BYTES:
            held.update(captured)
        return captured
