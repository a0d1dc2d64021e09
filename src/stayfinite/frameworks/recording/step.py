"""The failing step on an eager framework: run it, ask it, change it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from stayfinite.frameworks import change as changes
from stayfinite.frameworks.change import Change
from stayfinite.frameworks.keras import batches, clipping
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.clipping import only_clip
from stayfinite.frameworks.recording.axes import batch_axes, other_size
from stayfinite.frameworks.recording.engine import Engine, Result, State, Update
from stayfinite.frameworks.recording.recording import Enough, Recording
from stayfinite.frameworks.recording.translate import translate
from stayfinite.frameworks.step import Outcome, Roots
from stayfinite.graph.graph import Graph
from stayfinite.graph.walk import roots

# Arrays asked for once are often asked for again; beyond this they are run for again.
_CACHE_BYTES = 64 * 2**20


class EagerStep:
    """One step of a model on `state` and `data`; see `replay.step.Step`.

    Nothing of a run is held but its recording, loss and gradients: arrays are fetched by running
    the step again up to the last one that is wanted.
    """

    def __init__(
        self,
        engine: Engine,
        state: State,
        data: Any,
        in_place: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext,
    ) -> None:
        self.engine = engine
        self.state = state
        self.data = engine.tensors(data)
        self._in_place = in_place
        self._cache: dict[int, np.ndarray] = {}

    @functools.cached_property
    def _survey(self) -> tuple[Recording, Result, dict[int, bool]]:
        finite: dict[int, bool] = {}

        def visit(number: int, tensor: Any) -> None:
            finite[number] = self.engine.is_finite(tensor)

        recording, result = self._recorded(self.data, visit, places=True)
        assert result is not None
        return recording, result, finite

    def _recorded(
        self, data: Any, visit: Callable[[int, Any], None], *, places: bool = False
    ) -> tuple[Recording, Result | None]:
        recording = self._recording(visit, places=places)
        try:
            with self._in_place():
                return recording, self.engine.run(self.state, data, recording)
        except Enough:
            return recording, None

    def _recording(self, visit: Callable[[int, Any], None], *, places: bool = False) -> Recording:
        boundary = type(self.engine).run.__code__
        return Recording(boundary, visit, self.engine.numpy, places=places)

    @functools.cached_property
    def trace(self) -> Graph:
        """The step op by op."""
        recording, result, _ = self._survey
        assert result.marks is not None
        samples = batches.num_samples(self.data)
        return translate(self.engine.model, recording, result.marks, self._axes(samples), samples)

    def _axes(self, samples: int | None) -> dict[int, int]:
        recording = self._survey[0]
        if samples is None:
            return {}
        leaves = {
            number: 0
            for number, (role, _) in recording.leaves.items()
            if role in batches.ROLES and recording.shapes[number].shape[:1] == (samples,)
        }
        probe = self._probe(samples)
        return batch_axes(recording.ops, recording.shapes, leaves, samples, probe)

    def _probe(self, samples: int) -> list[Any]:
        """Shapes of the forward values with another number of samples; empty where that fails."""
        expected = self._survey[0].ops
        probe: Recording | None = None

        def visit(number: int, tensor: Any) -> None:
            assert probe is not None
            if probe.ops and expected[len(probe.ops) - 1].backward:
                raise Enough

        data = self.engine.tensors(
            batches.resized(self.data, other_size(samples), self.engine.numpy)
        )
        probe = self._recording(visit)
        try:
            with self._in_place(), np.errstate(all="ignore"):
                self.engine.run(self.state, data, probe)
        except Enough:
            pass
        except Exception:
            # A network may be built for one batch size; the axes are then told by their sizes.
            return []
        same = zip(probe.ops, expected, strict=False)
        alike = all((a.name, a.results) == (b.name, b.results) for a, b in same)
        return probe.shapes if alike else []

    def roots(self) -> Roots:
        """See `Step.roots`."""
        recording, _, finite = self._survey
        leaves = self._leaves().items()
        bad_leaves = {n for n, tensor in leaves if not self.engine.is_finite(tensor)}

        def is_bad(value: int) -> bool:
            # A constant of the code is part of the op that reads it.
            if value in recording.large_constants:
                return False
            return value in bad_leaves or not finite.get(value, True)

        trace = self.trace
        found, harmful = roots(trace.ops, is_bad, trace.sinks())
        return Roots([trace.leaves[n] for n in sorted(bad_leaves & harmful)], found)

    def _leaves(self) -> dict[int, Any]:
        """The tensors that came in, by number."""
        tensors = [named.value for named in self.engine.named_state(self.state)]
        tensors += [leaf for _, _, leaf in batches.named_leaves(self.engine.model, self.data)]
        return dict(zip(self._survey[0].leaves, tensors, strict=True))

    def shapes(self, data: Any) -> list[tuple[int, ...]]:
        """See `Step.shapes`."""
        return [tuple(np.shape(leaf)) for leaf in batches.leaves(data)]

    def with_arrays(self, data: Any, arrays: Mapping[str, np.ndarray]) -> Any:
        """See `Step.with_arrays`."""
        return batches.with_arrays(self.engine.model, data, arrays)

    def scaled(self, data: Any, divisors: Mapping[str, float]) -> Any:
        """See `Step.scaled`."""
        return batches.scaled(self.engine.model, data, divisors, self.engine.numpy)

    def magnitudes(self, data: Any) -> dict[str, float]:
        """See `Step.magnitudes`."""
        return batches.magnitudes(self.engine.model, data, self.engine.numpy)

    def fetch(self, values: Iterable[int]) -> dict[int, np.ndarray]:
        """See `Step.fetch`."""
        wanted = list(values)
        leaves, constants = self._leaves(), self._survey[0].constants
        found: dict[int, np.ndarray] = {}
        for value in wanted:
            if value in leaves:
                found[value] = self.engine.numpy(leaves[value])
            elif value in constants:
                found[value] = constants[value]
            elif value in self._cache:
                found[value] = self._cache[value]
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

        self._recorded(self.data, visit)
        if sum(a.nbytes for a in (*self._cache.values(), *captured.values())) <= _CACHE_BYTES:
            self._cache.update(captured)
        return captured

    def state_arrays(self) -> dict[str, np.ndarray]:
        """See `Step.state_arrays`."""
        return {n.name: self.engine.numpy(n.value) for n in self.engine.named_state(self.state)}

    def batch_arrays(self) -> dict[str, np.ndarray]:
        """See `Step.batch_arrays`."""
        named = batches.named_leaves(self.engine.model, self.data)
        return {name: self.engine.numpy(leaf) for _, name, leaf in named}

    def run(self, change: Change) -> Outcome:
        """See `Step.run`."""
        match change:
            case changes.Unchanged():
                return self._outcome(self._plain)
            case changes.ClipNorm(norm):
                return self._updated(lambda g: clipping.by_norm(g, norm))
            case changes.ClipValue(value):
                return self._updated(lambda g: clipping.by_value(g, value))
            case changes.LearningRate(factor):
                return self._updated(lambda g: g, factor)
            case changes.Settings(values):
                with keras_private.settings(self.engine.model, values):
                    return self._updated(lambda g: g)
            case changes.WiderDtype():
                return self._outcome(self.engine.run_wide(self.state, self.data))
            case _:
                return self.changed(change).run(changes.Unchanged())

    @functools.cached_property
    def _plain(self) -> Result:
        """The step as it was: from the survey where that has been made, else by a run."""
        if "_survey" in self.__dict__:
            return self._survey[1]
        with self._in_place():
            return self.engine.run(self.state, self.data)

    def after(self) -> State:
        """See `Step.after`."""
        if "_plain" not in self.__dict__ or self._plain.after is None:
            with self._in_place():
                result = self.engine.run(self.state, self.data, keep_after=True)
            self.__dict__["_plain"] = result
        after = self._plain.after
        assert after is not None
        return after

    def optimizers(self) -> list[Any]:
        """See `Step.optimizers`."""
        return keras_private.optimizers_of(self.engine.model)

    def layer(self, path: str) -> Any:
        """See `Step.layer`."""
        return keras_private.layer_at(self.engine.model, path)

    def changed(self, change: Change) -> EagerStep:
        """See `Step.changed`."""
        model = self.engine.model
        match change:
            case changes.State(values):
                state = self.engine.stored(self.state, values)
                return EagerStep(self.engine, state, self.data, self._in_place)
            case changes.Arrays(arrays):
                return EagerStep(self.engine, self._with(arrays), self.data, self._in_place)
            case changes.Settings(values):
                return self._inside(lambda: keras_private.settings(model, values))
            case changes.LearningRate(factor):
                return self._inside(lambda: keras_private.scaled_learning_rates(model, factor))
            case changes.ClipNorm(norm):
                return self._inside(lambda: keras_private.settings(model, only_clip(norm)))
            case changes.LayerSetting(path, name, value):
                layer = keras_private.layer_at(model, path)
                return self._inside(lambda: keras_private.set_attribute(layer, name, value))
            case changes.Batch(data):
                return EagerStep(self.engine, self.state, data, self._in_place)
            case changes.WithoutSamples(samples):
                others = batches.without(self.data, samples, self.engine.numpy)
                return EagerStep(self.engine, self.state, others, self._in_place)
            case changes.SamplesFrom(samples, other):
                mixed = batches.mixed(self.data, samples, other, self.engine.numpy)
                return EagerStep(self.engine, self.state, mixed, self._in_place)
            case changes.Source(in_place):
                return EagerStep(self.engine, self.state, self.data, in_place)
        raise TypeError(f"an eager step cannot be changed by {change!r}")

    def _inside(self, context: Callable[[], AbstractContextManager[Any]]) -> EagerStep:
        """This step, run inside one more context."""
        outer = self._in_place

        @contextlib.contextmanager
        def both() -> Iterator[None]:
            with outer(), context():
                yield

        return EagerStep(self.engine, self.state, self.data, both)

    def _with(self, arrays: Mapping[str, np.ndarray]) -> State:
        names = iter([named.name for named in self.engine.named_state(self.state)])
        values = [[arrays.get(next(names), value) for value in group] for group in self.state]
        return self.engine.stored(self.state, values)

    def _updated(self, clip: Callable[[np.ndarray], np.ndarray], factor: float = 1.0) -> Outcome:
        """The outcome with other gradients or another learning rate; nothing else is run again."""
        plain = self._plain
        updates = []
        for update in plain.updates:
            clipped = [clip(self.engine.numpy(gradient)) for gradient in update.gradients]
            tensors = [self.engine.tensors(gradient) for gradient in clipped]
            updates.append(Update(update.optimizer, tensors, update.variables))
        bad_state = self.engine.update(self.state, updates, factor)
        named = self.engine.named_state(self.state)
        forward = {n.name for n in named if n.role == "statistics"}
        kept = tuple(name for name in plain.bad_state if name in forward)
        return self._outcome(Result(plain.loss, updates, (*kept, *bad_state)))

    def _outcome(self, result: Result) -> Outcome:
        gradients: dict[str, np.ndarray] = {}
        for update in result.updates:
            for variable, gradient in zip(update.variables, update.gradients, strict=True):
                name = batches.fresh(variable.path, gradients)
                gradients[name] = self.engine.numpy(gradient)
        loss = 0.0 if result.loss is None else float(np.mean(self.engine.numpy(result.loss)))
        return Outcome(loss=loss, gradients=gradients, bad_state=result.bad_state)
