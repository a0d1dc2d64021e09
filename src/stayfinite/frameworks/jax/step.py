"""The failing step on JAX: run it, ask it, change it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks import change as changes
from stayfinite.frameworks.change import Change
from stayfinite.frameworks.jax import capture, float64
from stayfinite.frameworks.jax.capture import Traced
from stayfinite.frameworks.jax.capture_program import Program
from stayfinite.frameworks.jax.executor import Executor, Run, is_finite
from stayfinite.frameworks.keras import batches, clipping
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.recording.axes import other_size
from stayfinite.frameworks.step import Outcome, Roots
from stayfinite.graph.graph import Graph, Op
from stayfinite.graph.roots import roots

_MAX_SUSPECTS = 6
# Equations of a step that is traced in a fraction of a second.
_QUICK_TO_TRACE = 3000


class JaxStep:
    """One step of `model` on `state` and `data`; see `replay.step.Step`.

    The metrics of `state` are replaced by fresh ones, so that `logs["loss"]` is the loss of this
    step and not the mean of its epoch.
    """

    def __init__(
        self,
        model: Any,
        state: Any,
        data: Any,
        *,
        wide: bool = False,
        in_place: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext,
    ) -> None:
        self.model = model
        self.state = (*state[:3], _fresh_metrics(model))
        self.data = jax.tree.map(jnp.asarray, data)
        self.wide = wide
        self._in_place = in_place
        with in_place():
            self.traced: Traced = capture.trace_step(model, self.state, self.data)
        self._overrides: dict[int, Any] = {}

    @functools.cached_property
    def trace(self) -> Graph:
        """The step op by op."""
        return self.traced.trace(self._resized())

    def _resized(self) -> Program | None:
        """The program on another number of samples; None where tracing it would take long."""
        samples = self.traced.num_samples
        if samples is None or len(self.traced.program.equations) > _QUICK_TO_TRACE:
            return None
        try:
            data = jax.tree.map(
                jnp.asarray, batches.resized(self.data, other_size(samples), np.asarray)
            )
            with self._in_place():
                return capture.trace_step(self.model, self.state, data).program
        except Exception:
            # The step takes no other number of samples; the axes are followed through it instead.
            return None

    @functools.cached_property
    def _executor(self) -> Executor:
        program = self.traced.program
        with self._precision():
            return Executor(
                float64.widened(program) if self.wide else program,
                self.traced.gradients.values(),
                draft=self.wide,
            )

    @contextlib.contextmanager
    def _precision(self) -> Iterator[None]:
        with jax.enable_x64() if self.wide else contextlib.nullcontext():
            yield

    def _inputs(self) -> list[Any]:
        leaves = jax.tree.leaves((self.state, self.data))
        return [float64.widen_array(leaf) for leaf in leaves] if self.wide else leaves

    def _run(self, **options: Any) -> Run:
        with self._precision():
            return self._executor.run(self._inputs(), **options)

    @functools.cached_property
    def _survey(self) -> Run:
        return self._run(keep_suspects=_MAX_SUSPECTS)

    def roots(self) -> Roots:
        """See `Step.roots`: coarse over segments, then op by op inside the ones found."""
        survey = self._survey
        numbers = self.traced.program.inputs
        bad_leaves = {
            number
            for number, array in zip(numbers, self._inputs(), strict=True)
            if number in self.traced.leaves and not is_finite(array)
        }

        def is_bad(value: int) -> bool:
            return value in bad_leaves or not survey.finite.get(value, True)

        segments = self._executor.segments
        coarse, harmful = roots(segments, is_bad, self.trace.sinks())
        found: list[Op] = []
        for segment in coarse:
            index = segments.index(segment)
            if index not in survey.suspects:
                continue
            inside = self._roots_inside(index, is_bad)
            if not inside:
                self._executor.go_one_by_one(index)
                inside = self._roots_inside(index, is_bad)
            found.extend(inside)
        leaves = [self.traced.leaves[number] for number in numbers if number in bad_leaves]
        return Roots([leaf for leaf in leaves if leaf.value in harmful], found)

    def _roots_inside(self, index: int, is_bad: Any) -> list[Op]:
        bad: set[int] = set()
        ops = self.trace.ops

        def visit(number: int, _: list[Any], results: list[Any]) -> None:
            named = zip(ops[number].results, results, strict=True)
            bad.update(value for value, result in named if not is_finite(result))

        segment = self._executor.segments[index]
        with self._precision():
            self._executor.step_through(index, self._survey.suspects[index], visit)
        inside = ops[segment.first : segment.first + len(segment.equations)]
        sinks = [v for v in segment.results if is_bad(v) and v in bad]
        return roots(inside, lambda value: value in bad, sinks)[0]

    def shapes(self, data: Any) -> list[tuple[int, ...]]:
        """See `Step.shapes`."""
        return [tuple(np.shape(leaf)) for leaf in batches.leaves(data)]

    def with_arrays(self, data: Any, arrays: Mapping[str, np.ndarray]) -> Any:
        """See `Step.with_arrays`."""
        return batches.with_arrays(self.model, data, arrays)

    def scaled(self, data: Any, divisors: Mapping[str, float]) -> Any:
        """See `Step.scaled`."""
        return batches.scaled(self.model, data, divisors, np.asarray)

    def magnitudes(self, data: Any) -> dict[str, float]:
        """See `Step.magnitudes`."""
        return batches.magnitudes(self.model, data, np.asarray)

    def fetch(self, values: Iterable[int]) -> dict[int, np.ndarray]:
        """See `Step.fetch`."""
        wanted = list(values)
        known = dict(zip(self.traced.program.inputs, self._inputs(), strict=True))
        known.update(self.traced.program.constants)
        missing = [v for v in wanted if v not in known]
        if missing:
            known.update(self._run(fetch=missing).values)
        return {value: np.asarray(known[value]) for value in wanted}

    def state_arrays(self) -> dict[str, np.ndarray]:
        """See `Step.state_arrays`."""
        return self._arrays(capture.STATE_ROLES)

    def batch_arrays(self) -> dict[str, np.ndarray]:
        """See `Step.batch_arrays`."""
        return self._arrays(batches.ROLES)

    def _arrays(self, roles: tuple[str, ...]) -> dict[str, np.ndarray]:
        numbered = zip(self.traced.program.inputs, self._inputs(), strict=True)
        named = ((self.traced.leaves.get(number), array) for number, array in numbered)
        return {
            leaf.name: np.asarray(array)
            for leaf, array in named
            if leaf is not None and leaf.role in roles
        }

    def run(self, change: Change) -> Outcome:
        """See `Step.run`."""
        match change:
            case changes.Unchanged():
                return self._outcome(self._survey)
            case changes.ClipNorm(norm):
                return self._with_gradients(lambda g: clipping.by_norm(g, norm))
            case changes.ClipValue(value):
                return self._with_gradients(lambda g: clipping.by_value(g, value))
            case _:
                step = self.changed(change)
                return step._outcome(step._survey)

    def changed(self, change: Change) -> JaxStep:
        """See `Step.changed`."""
        match change:
            case changes.Batch(data):
                return self._on(data)
            case changes.WithoutSamples(samples):
                return self._on(batches.without(self.data, samples, np.asarray))
            case changes.SamplesFrom(samples, other):
                return self._on(batches.mixed(self.data, samples, other, np.asarray))
            case changes.WiderDtype():
                return self._copy(wide=True)
            case changes.State(values):
                return self._copy(state=(*_arrays_of(values[:3]), self.state[3]))
            case changes.Arrays(arrays):
                return self._copy(state=self._with(arrays))
            case changes.LearningRate(factor):
                return self._at_learning_rate(factor)
            case changes.ClipNorm(norm):
                return self.changed(changes.Settings(clipping.only_clip(norm)))
            case changes.Settings(values):
                return self._inside(lambda: keras_private.settings(self.model, values))
            case changes.LayerSetting(path, name, value):
                layer = self.layer(path)
                return self._inside(lambda: keras_private.set_attribute(layer, name, value))
            case changes.Source(in_place):
                return self._retraced(in_place)
        raise TypeError(f"a JAX step cannot be changed by {change!r}")

    def after(self) -> Any:
        """See `Step.after`."""
        values = self._survey.values
        return (*jax.tree.map(lambda number: values[number], self.traced.after), self.state[3])

    def optimizers(self) -> list[Any]:
        """See `Step.optimizers`."""
        return keras_private.optimizers_of(self.model)

    def layer(self, path: str) -> Any:
        """See `Step.layer`."""
        return keras_private.layer_at(self.model, path)

    def _with(self, arrays: Mapping[str, np.ndarray]) -> Any:
        leaves, structure = jax.tree.flatten(self.state)
        numbers = self.traced.program.inputs
        names = [self.traced.leaves[number].name for number in numbers[: len(leaves)]]
        pairs = zip(names, leaves, strict=True)
        replaced = [
            jnp.asarray(arrays[name], leaf.dtype) if name in arrays else leaf
            for name, leaf in pairs
        ]
        return jax.tree.unflatten(structure, replaced)

    def _inside(self, context: Callable[[], AbstractContextManager[Any]]) -> JaxStep:
        """This step, traced again inside one more context."""
        outer = self._in_place

        @contextlib.contextmanager
        def both() -> Iterator[None]:
            with outer(), context():
                yield

        return JaxStep(self.model, self.state, self.data, wide=self.wide, in_place=both)

    def _retraced(self, in_place: Callable[[], AbstractContextManager[Any]]) -> JaxStep:
        other = self._inside(in_place)
        if other._executor.structure == self._executor.structure:
            # The user's function is itself jitted, and JAX gave back what it traced before.
            jax.clear_caches()
            other = self._inside(in_place)
        return other

    def _on(self, data: Any) -> JaxStep:
        shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(data)]
        if shapes != [jnp.shape(leaf) for leaf in jax.tree.leaves(self.data)]:
            return JaxStep(self.model, self.state, data, wide=self.wide, in_place=self._in_place)
        return self._copy(data=jax.tree.map(jnp.asarray, data))

    def _copy(self, **different: Any) -> JaxStep:
        """This step with other attributes; what was computed is kept where it still holds."""
        stale = {"_survey"} if "wide" not in different else {"_survey", "_executor"}
        other = JaxStep.__new__(JaxStep)
        other.__dict__.update({k: v for k, v in self.__dict__.items() if k not in stale})
        other.__dict__.update(different)
        return other

    def _at_learning_rate(self, factor: float) -> JaxStep:
        optimizer = self.model.optimizer
        tv, ntv, ov, mv = self.state
        if not any(variable.path.endswith("learning_rate") for variable in optimizer.variables):
            # It comes from a schedule, inside the program.
            return self._inside(lambda: keras_private.scaled_learning_rates(self.model, factor))
        scaled = [
            value * factor if variable.path.endswith("learning_rate") else value
            for variable, value in zip(optimizer.variables, ov, strict=True)
        ]
        return self._copy(state=(tv, ntv, scaled, mv))

    def _with_gradients(self, clip: Any) -> Outcome:
        gradients = self.traced.gradients
        before = self._survey.values
        overrides = {
            value: jnp.asarray(clip(np.asarray(before[value]))) for value in gradients.values()
        }
        return self._outcome(self._run(overrides=overrides))

    def _outcome(self, run: Run) -> Outcome:
        traced = self.traced
        loss = float("nan") if traced.loss is None else float(run.values[traced.loss])
        if traced.loss is None:
            loss = 0.0
        bad = [n for n, v in traced.new_state.items() if not is_finite(run.values[v])]
        bad += keras_private.collapsed_scales(
            self.model, self.state[2], lambda n: run.values[traced.after[2][n]]
        )
        gradients = {n: np.asarray(run.values[v]) for n, v in traced.gradients.items()}
        return Outcome(loss=loss, gradients=gradients, bad_state=tuple(bad))


def _arrays_of(groups: Any) -> tuple[list[Any], ...]:
    return tuple([jnp.asarray(value) for value in group] for group in groups)


def _fresh_metrics(model: Any) -> list[Any]:
    kept = [np.asarray(v.value) for v in model.metrics_variables]
    model.reset_metrics()
    fresh = [jnp.asarray(np.asarray(v.value)) for v in model.metrics_variables]
    for variable, value in zip(model.metrics_variables, kept, strict=True):
        variable.assign(value)
    return fresh
