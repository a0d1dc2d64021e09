"""The failing step on JAX: runs it, reads its arrays, changes it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks import change as changes
from stayfinite.frameworks.attributes import set_attribute
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Change
from stayfinite.frameworks.jax import devices, float64, private
from stayfinite.frameworks.jax.capture import STATE_ROLES, TracedStep
from stayfinite.frameworks.jax.executor import Executor, ProgramRun
from stayfinite.frameworks.jax.host_data import is_finite, on_one_device
from stayfinite.frameworks.jax.library import library_of
from stayfinite.frameworks.jax.state import fresh_metrics, scaled_update
from stayfinite.frameworks.jax.step_program import InPlace, StepProgram
from stayfinite.frameworks.jax.step_roots import RootSearch
from stayfinite.frameworks.loss_scale import gradients_noted, loss_scales_at, unscaled
from stayfinite.frameworks.state import State, keeps_its_infinities
from stayfinite.frameworks.step import Outcome, Roots
from stayfinite.frameworks.subject import Subject
from stayfinite.graph.graph import Graph

_MAX_SUSPECTS = 6


@dataclass(frozen=True, eq=False)
class JaxStep:
    """One step of `subject` on `state` and `batch`; implements `Step`.

    The metrics of `state` are fresh ones, so that `logs["loss"]` is the loss of this step and not
    the mean of its epoch. `wide` is true for the step in float64, `compiled` for it as one program.
    `device` is None for that of the training. The gradients under a loss scale are divided by
    `loss_scale`; None if not noted. The update of each weight is multiplied by `update_factor`.
    """

    state: State
    batch: Batch
    program: StepProgram
    wide: bool = False
    compiled: bool = False
    device: Any = None
    loss_scale: float | None = None
    update_factor: float = 1.0

    @classmethod
    def of(cls, subject: Subject, state: State, batch: Batch) -> JaxStep:
        """The step on a state and a batch as the guard hands them over."""
        state = state.map(on_one_device).with_metrics(fresh_metrics(subject))
        batch = batch.map(on_one_device)
        return cls(state, batch, StepProgram(subject, state, batch))

    @property
    def subject(self) -> Subject:
        """The training that the step belongs to."""
        return self.program.subject

    @property
    def trace(self) -> Graph:
        """The step op by op."""
        return self.program.graph

    @property
    def _traced(self) -> TracedStep:
        return self.program.traced

    @property
    def _executor(self) -> Executor:
        if self.device is not None:
            return self.program.executor_on(self.device)
        if self.wide:
            return self.program.wide_executor
        return self.program.whole_executor if self.compiled else self.program.executor

    @contextlib.contextmanager
    def _precision(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            if self.wide:
                stack.enter_context(private.float64_enabled())
            if self.device is not None:
                stack.enter_context(jax.default_device(self.device))
            yield

    @functools.cached_property
    def _survey(self) -> ProgramRun:
        """The step as it is, with what was finite in it. A step that is changed is another one."""
        return self._run(keep_suspects=_MAX_SUSPECTS)

    def _inputs(self) -> list[Any]:
        leaves = [*self.state.values, *jax.tree.leaves(self.batch.data)]
        return [float64.widen_array(leaf) for leaf in leaves] if self.wide else leaves

    def _run(self, **options: Any) -> ProgramRun:
        with self._precision():
            return self._executor.run(self._inputs(), **options)

    def roots(self) -> Roots:
        """The non-finite leaves and the failing ops."""
        search = RootSearch(
            self.trace,
            self._traced,
            self._executor,
            self._inputs(),
            self._survey,
            self._precision,
        )
        return search.roots(self._bad_state(self._survey), self.subject.may_keep_infinity())

    def fetch(self, values: Iterable[int]) -> dict[int, np.ndarray]:
        """The arrays of a few values, by one more run unless they are leaves."""
        wanted = list(values)
        program = self._traced.program
        known = dict(zip(program.inputs, self._inputs(), strict=True))
        known.update(program.constants)
        missing = [v for v in wanted if v not in known]
        if missing:
            known.update(self._run(fetch=missing).values)
        return {value: np.asarray(known[value]) for value in wanted}

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The whole state before the step, by name; random keys too."""
        leaves = self._traced.leaves
        numbered = zip(self._traced.program.inputs, self._inputs(), strict=True)
        return {
            leaves[number].name: np.asarray(array)
            for number, array in numbered
            if number in leaves and leaves[number].role in STATE_ROLES
        }

    def run(self, change: Change) -> Outcome:
        """Run the step with one thing changed."""
        match change:
            case changes.Unchanged():
                return self._outcome(self._survey)
            case changes.ClipNorm() | changes.ClipValue():
                return self._with_gradients(change.clipped)
            case _:
                return self.changed(change).run(changes.Unchanged())

    def changed(self, change: Change) -> JaxStep:
        """The step with one thing changed; it is traced again only where that is needed."""
        match change:
            case changes.Unchanged() | changes.WholeIteration():
                return self
            case changes.OnBatch(batch):
                return self._on(batch)
            case changes.WithoutSamples(samples):
                return self._on(self.batch.without(samples))
            case changes.SamplesFrom(samples, other):
                return self._on(self.batch.mixed(samples, other))
            case changes.WiderDtype():
                return dataclasses.replace(self, wide=True)
            case changes.Compiled():
                return dataclasses.replace(self, compiled=True)
            case changes.OnState(state):
                other_state = state.map(on_one_device).with_metrics(self.state.metrics)
                return dataclasses.replace(self, state=other_state)
            case changes.Arrays(arrays):
                return dataclasses.replace(self, state=self._state_with(arrays))
            case changes.LearningRate(factor):
                return self._at_learning_rate(factor)
            case changes.ClipNorm():
                return self.changed(change.settings())
            case changes.Settings(values):
                return self._with_settings(values)
            case changes.LayerSetting(path, name, value):
                layer = self.subject.layer(path)
                return self._inside(lambda: set_attribute(layer, name, value))
            case changes.OnDevice(device):
                return self._on_device(devices.named(device))
            case changes.Source(in_place):
                return self._retraced(in_place)
            case changes.LossScale(value):
                return self._scaled(value)
        raise TypeError(f"a JAX step cannot be changed by {change!r}")

    def _scaled(self, value: float) -> JaxStep:
        scales = loss_scales_at(self.subject.optimizers, value)
        scaled = dataclasses.replace(self, state=self._state_with(scales), loss_scale=value)
        if self.loss_scale is not None:
            return scaled
        return scaled._inside(gradients_noted)

    def _on_device(self, device: Any) -> JaxStep:
        # What is computed follows the device of its operands.
        def moved(value: Any) -> Any:
            return jax.device_put(value, device)

        state, batch = self.state.map(moved), self.batch.map(moved)
        return dataclasses.replace(self, state=state, batch=batch, device=device)

    def after(self) -> State:
        """The whole state after the step, with the metrics before it."""
        values = self._new_state(self._survey)
        groups = [[values[number] for number in group] for group in self._traced.after]
        return State.of([*groups, self.state.metrics])

    def _new_state(self, run: ProgramRun) -> dict[int, Any]:
        """The new state by number, with the updates of the weights scaled."""
        after = self._traced.after
        values = {number: run.values[number] for group in after for number in group}
        if self.update_factor != 1.0:
            for number, before in zip(after[0], self.state.trainable, strict=True):
                values[number] = scaled_update(before, values[number], self.update_factor)
        return values

    def _state_with(self, arrays: Mapping[str, np.ndarray]) -> State:
        values: list[Any] = list(self.state.values)
        numbers = self._traced.program.inputs[: len(values)]
        names = [self._traced.leaves[number].name for number in numbers]
        typed = {
            name: jnp.asarray(arrays[name], value.dtype)
            for name, value in zip(names, values, strict=True)
            if name in arrays
        }
        return self.state.with_arrays(names, typed)

    def _inside(self, context: InPlace) -> JaxStep:
        """This step, traced again inside one more context."""
        outer = self.program.in_place

        @contextlib.contextmanager
        def both() -> Iterator[None]:
            with outer(), context():
                yield

        program = StepProgram(self.subject, self.state, self.batch, both)
        return dataclasses.replace(self, program=program)

    def _retraced(self, in_place: InPlace) -> JaxStep:
        other = self._inside(in_place)
        if other._executor.structure == self._executor.structure:
            # The user's function is itself jitted, and JAX gave back what it traced before.
            jax.clear_caches()
            other = self._inside(in_place)
        return other

    def _on(self, batch: Batch) -> JaxStep:
        batch = batch.map(on_one_device)
        program = self.program
        if batch.shapes() != self.batch.shapes():
            program = StepProgram(self.subject, self.state, batch, program.in_place)
        return dataclasses.replace(self, batch=batch, program=program)

    def _with_settings(self, values: Mapping[str, object]) -> JaxStep:
        rates = self._learning_rates()
        if self.subject.optimizers or not rates or set(values) != {"learning_rate"}:
            return self._inside(lambda: self.subject.settings(values))
        given = np.asarray(values["learning_rate"])
        return dataclasses.replace(self, state=self._state_with(dict.fromkeys(rates, given)))

    def _learning_rates(self) -> dict[str, Any]:
        """The learning rates in the state, by name."""
        numbers = self._traced.program.inputs[: len(self.state.values)]
        leaves = [self._traced.leaves[number] for number in numbers]
        of_optimizers = [leaf.name for leaf in leaves if leaf.role == "optimizer"]
        rates = library_of(self.subject).learning_rates(of_optimizers)
        held = zip(leaves, self.state.values, strict=True)
        return {leaf.name: value for leaf, value in held if leaf.name in rates}

    def _at_learning_rate(self, factor: float) -> JaxStep:
        rates = self._learning_rates()
        if not rates:
            subject = self.subject
            if not subject.optimizers and subject.fixed_rate is None:
                # A constant of the step, to which the updates are linear.
                factor *= self.update_factor
                return dataclasses.replace(self, update_factor=factor)
            # It comes from a schedule, inside the program.
            return self._inside(lambda: self.subject.scaled_learning_rates(factor))
        scaled = {name: rate * factor for name, rate in rates.items()}
        return dataclasses.replace(self, state=self._state_with(scaled))

    def _with_gradients(self, clip: Callable[[np.ndarray], np.ndarray]) -> Outcome:
        before = self._survey.values
        overrides = {
            value: jnp.asarray(clip(np.asarray(before[value])))
            for value in self._traced.gradients.values()
        }
        return self._outcome(self._run(overrides=overrides))

    def _bad_state(self, run: ProgramRun) -> list[str]:
        """The new state that is not finite, but for infinities that a variable kept."""
        traced = self._traced
        numbers = [*traced.after[0], *traced.after[1]]
        held = [*self.state.trainable, *self.state.non_trainable]
        before = dict(zip(numbers, held, strict=True))
        may_keep = {numbers[position] for position in self.subject.may_keep_infinity()}
        values = self._new_state(run)
        return [
            name
            for name, number in traced.new_state.items()
            if not is_finite(values[number])
            and not (
                number in may_keep
                and keeps_its_infinities(np.asarray(before[number]), np.asarray(values[number]))
            )
        ]

    def _outcome(self, run: ProgramRun) -> Outcome:
        traced, values = self._traced, run.values
        # A step that differentiates nothing has no loss.
        num_losses = int(traced.loss is not None)
        loss = 0.0 if traced.loss is None else float(np.asarray(values[traced.loss]).mean())
        bad = self._bad_state(run)
        bad += library_of(self.subject).collapsed_scales(
            self.subject, self.state.optimizer, lambda n: values[traced.after[2][n]]
        )
        gradients = {name: np.asarray(values[n]) for name, n in traced.gradients.items()}
        if self.loss_scale is not None:
            gradients = unscaled(gradients, self.loss_scale)
        return Outcome(loss, gradients, bad_state=tuple(bad), num_losses=num_losses)
