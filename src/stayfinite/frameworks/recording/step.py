"""The failing step on an eager framework: runs it, reads its arrays, changes it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stayfinite.frameworks import change as changes
from stayfinite.frameworks.attributes import set_attribute
from stayfinite.frameworks.batch import ROLES, Batch
from stayfinite.frameworks.change import Change
from stayfinite.frameworks.loss_scale import gradients_noted, loss_scales_at, unscaled
from stayfinite.frameworks.names import fresh, path_of
from stayfinite.frameworks.recording.axes import batch_axes, other_size
from stayfinite.frameworks.recording.engine import EagerResult, Engine, Update
from stayfinite.frameworks.recording.recording import Enough, Recording, Shape, until_enough
from stayfinite.frameworks.recording.translate import translate
from stayfinite.frameworks.state import State
from stayfinite.frameworks.step import Outcome, Roots, at_fault
from stayfinite.frameworks.subject import Subject
from stayfinite.graph.graph import Graph
from stayfinite.graph.walk import roots
from stayfinite.strict import caught, is_internal

# Bytes of fetched arrays that are kept, since many are needed twice.
_CACHE_BYTES = 64 * 2**20

InPlace = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class _Survey:
    """One recorded run: its ops, its result, and which op results were finite."""

    recording: Recording
    result: EagerResult
    finite: dict[int, bool]


@dataclass
class _Cache:
    """The results of the runs of one step so far."""

    survey: _Survey | None = None
    result: EagerResult | None = None
    graph: Graph | None = None
    arrays: dict[int, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class EagerStep:
    """One step of a subject on `state` and `batch`; implements `Step`.

    Of a run, its recording, loss and gradients are kept. Arrays are fetched by running the step
    again up to the last one that is needed.

    Attributes:
        engine: Runs the step.
        state: Values, all tensors of the framework.
        batch: Its arrays, all tensors of the framework.
        in_place: Each run is made inside it.
        loss_scale: What gradients under a loss scale are divided by; None if they are not noted.
    """

    engine: Engine
    state: State
    batch: Batch
    in_place: InPlace = contextlib.nullcontext
    loss_scale: float | None = None
    _cache: _Cache = field(default_factory=_Cache, init=False, repr=False)

    @classmethod
    def of(cls, engine: Engine, state: State, batch: Batch) -> EagerStep:
        """The step on a state and a batch that may hold NumPy arrays."""
        return cls(engine, state.map(engine.tensor), batch.map(engine.tensor))

    @property
    def subject(self) -> Subject:
        """The training that the step belongs to."""
        return self.engine.subject

    @property
    def trace(self) -> Graph:
        """The step op by op."""
        if self._cache.graph is None:
            survey = self._surveyed()
            assert survey.result.outputs is not None
            samples = self.batch.num_samples
            self._cache.graph = translate(
                self.subject.layer_path,
                survey.recording,
                survey.result.outputs,
                self._axes(samples),
                samples,
            )
        return self._cache.graph

    def _surveyed(self) -> _Survey:
        if self._cache.survey is None:
            finite: dict[int, bool] = {}

            def visit(number: int, tensor: Any) -> None:
                finite[number] = self.engine.is_finite(tensor)

            recording = self._recording(visit, places=True)
            with self.in_place():
                result = self.engine.run(self.state, self.batch, recording)
            self._cache.survey = _Survey(recording, result, finite)
            self._cache.result = self._cache.result or result
        return self._cache.survey

    def _recording(self, visit: Callable[[int, Any], None], *, places: bool = False) -> Recording:
        boundary = type(self.engine).run.__code__
        return Recording(boundary, visit, self.engine.numpy, places=places)

    def _axes(self, samples: int | None) -> dict[int, int]:
        recording = self._surveyed().recording
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
        expected = self._surveyed().recording.ops
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
        survey = self._surveyed()
        leaves = self._leaves().items()
        bad_leaves = {n for n, tensor in leaves if not self.engine.is_finite(tensor)}

        def is_bad(value: int) -> bool:
            # A constant of the code is part of the op that reads it.
            if value in survey.recording.large_constants:
                return False
            return value in bad_leaves or not survey.finite.get(value, True)

        trace = self.trace
        bad_state = survey.result.bad_state
        kept = {n for name, n in trace.new_state.items() if name not in bad_state}
        sinks = [sink for sink in trace.sinks() if sink not in kept]
        found, harmful = roots(trace.ops, is_bad, sinks)
        reached = [trace.leaves[n] for n in sorted(bad_leaves & harmful)]
        return Roots(at_fault(reached, found, self._may_keep_infinity()), found)

    def _may_keep_infinity(self) -> set[int]:
        numbers = self._surveyed().recording.leaves  # of the batch, too
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
        return dict(zip(self._surveyed().recording.leaves, tensors, strict=True))

    def fetch(self, values: Iterable[int]) -> dict[int, np.ndarray]:
        """The arrays of a few values, by one more run unless they came in or are held."""
        wanted = list(values)
        leaves, constants = self._leaves(), self._surveyed().recording.constants
        found: dict[int, np.ndarray] = {}
        for value in wanted:
            if value in leaves:
                found[value] = self.engine.numpy(leaves[value])
            elif value in constants:
                found[value] = constants[value]
            elif value in self._cache.arrays:
                found[value] = self._cache.arrays[value]
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
        held = self._cache.arrays
        if sum(a.nbytes for a in (*held.values(), *captured.values())) <= _CACHE_BYTES:
            held.update(captured)
        return captured

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The whole state before the step, by name."""
        return {n.name: self.engine.numpy(n.value) for n in self.engine.named_state(self.state)}

    def run(self, change: Change) -> Outcome:
        """Run the step with one thing changed."""
        match change:
            case changes.Unchanged():
                return self._outcome(self._result())
            case changes.ClipNorm() | changes.ClipValue():
                return self._updated(change.clipped)
            case changes.LearningRate(factor):
                return self._updated(lambda g: g, factor)
            case changes.Settings(values):
                with self.subject.settings(values):
                    return self._updated(lambda g: g)
            case changes.WiderDtype():
                with self.in_place():
                    return self._outcome(self.engine.run_wide(self.state, self.batch))
            case _:
                return self.changed(change).run(changes.Unchanged())

    def _result(self) -> EagerResult:
        """The step as it is: from the survey where that has been made, else by a run."""
        if self._cache.result is None:
            with self.in_place():
                self._cache.result = self.engine.run(self.state, self.batch)
        return self._cache.result

    def after(self) -> State:
        """The whole state after the step."""
        result = self._cache.result
        if result is None or result.after is None:
            with self.in_place():
                result = self.engine.run(self.state, self.batch, keep_after=True)
            self._cache.result = result
        assert result.after is not None
        return result.after

    def changed(self, change: Change) -> EagerStep:
        """The step with one thing changed."""
        subject, tensor = self.subject, self.engine.tensor
        match change:
            case changes.Unchanged():
                return self
            case changes.Compiled():
                return dataclasses.replace(self, engine=self.engine.compiled())
            case changes.OnState(state):
                random = self.state.random if state.random is None else state.random
                other = dataclasses.replace(state.map(tensor), random=random)
                return dataclasses.replace(self, state=other)
            case changes.Arrays(arrays):
                names = [named.name for named in self.engine.named_state(self.state)]
                other = self.state.with_arrays(names, arrays).map(tensor)
                return dataclasses.replace(self, state=other)
            case changes.Settings(values):
                return self._inside(lambda: subject.settings(values))
            case changes.LearningRate(factor):
                return self._inside(lambda: subject.scaled_learning_rates(factor))
            case changes.ClipNorm():
                return self.changed(change.settings())
            case changes.LayerSetting(path, name, value):
                layer = subject.layer(path)
                return self._inside(lambda: set_attribute(layer, name, value))
            case changes.OnBatch(batch):
                return dataclasses.replace(self, batch=batch.map(tensor))
            case changes.WithoutSamples(samples):
                return dataclasses.replace(self, batch=self.batch.without(samples).map(tensor))
            case changes.SamplesFrom(samples, other_batch):
                mixed = self.batch.mixed(samples, other_batch)
                return dataclasses.replace(self, batch=mixed.map(tensor))
            case changes.OnDevice(device):
                inside = self._inside(lambda: self.engine.on_device(device))
                batch = self.batch.map(lambda value: self.engine.moved(value, device))
                return dataclasses.replace(inside, batch=batch)
            case changes.HalfAs(dtype):
                return self._inside(lambda: subject.half_as(dtype))
            case changes.OtherSetting(setting, wanted):
                return self._inside(lambda: subject.library_value(setting, wanted))
            case changes.Source(in_place):
                return self._inside(in_place)
            case changes.WholeIteration():
                return self._inside_whole()
            case changes.LossScale(value):
                arrays = loss_scales_at(subject.optimizers, value)
                scaled = self.changed(changes.Arrays(arrays))
                if self.loss_scale is None:
                    scaled = scaled._inside(gradients_noted)
                return dataclasses.replace(scaled, loss_scale=value)
        raise TypeError(f"an eager step cannot be changed by {change!r}")

    def _inside(self, context: InPlace) -> EagerStep:
        """This step, run inside one more context."""
        outer = self.in_place

        @contextlib.contextmanager
        def both() -> Iterator[None]:
            with outer(), context():
                yield

        return dataclasses.replace(self, in_place=both)

    def _inside_whole(self) -> EagerStep:
        subject = self.subject
        if subject.whole_iteration() is None:
            return self
        return self._inside(lambda: subject.whole_iteration() or contextlib.nullcontext())

    def _updated(self, clip: Callable[[np.ndarray], np.ndarray], factor: float = 1.0) -> Outcome:
        """The outcome with other gradients or another learning rate; nothing else is run again."""
        plain = self._result()
        updates = []
        for update in plain.updates:
            clipped = [clip(self.engine.numpy(gradient)) for gradient in update.gradients]
            tensors = [self.engine.tensor(gradient) for gradient in clipped]
            updates.append(Update(update.optimizer, tensors, update.variables))
        bad_state = self.engine.update(self.state, updates, factor)
        named = self.engine.named_state(self.state)
        forward = {n.name for n in named if n.role == "statistics"}
        kept = tuple(name for name in plain.bad_state if name in forward)
        bad = (*kept, *bad_state)
        return self._outcome(EagerResult(plain.loss, updates, bad, num_losses=plain.num_losses))

    def _outcome(self, result: EagerResult) -> Outcome:
        gradients: dict[str, np.ndarray] = {}
        for update in result.updates:
            for variable, gradient in zip(update.variables, update.gradients, strict=True):
                name = fresh(path_of(variable), gradients)
                gradients[name] = self.engine.numpy(gradient)
        if self.loss_scale is not None:
            gradients = unscaled(gradients, self.loss_scale)
        if result.loss is None:
            return Outcome(0.0, gradients, result.bad_state, num_losses=0)
        loss = float(np.mean(self.engine.numpy(result.loss)))
        return Outcome(loss, gradients, result.bad_state, result.num_losses)
