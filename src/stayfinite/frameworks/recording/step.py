"""The failing step on an eager framework: runs it as it was, and with one thing changed."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from stayfinite.frameworks import change as changes
from stayfinite.frameworks.attributes import set_attribute
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Change
from stayfinite.frameworks.loss_scale import gradients_noted, loss_scales_at, unscaled
from stayfinite.frameworks.names import fresh, path_of
from stayfinite.frameworks.recording.engine import EagerResult, Engine, Update
from stayfinite.frameworks.recording.step_runs import InPlace, StepRuns
from stayfinite.frameworks.state import State
from stayfinite.frameworks.step import Outcome, Roots
from stayfinite.frameworks.subject import Subject
from stayfinite.graph.graph import Graph


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
        return self._runs.graph

    @functools.cached_property
    def _runs(self) -> StepRuns:
        return StepRuns(self.engine, self.state, self.batch, self.in_place)

    def roots(self) -> Roots:
        """The non-finite leaves, and the ops that made a non-finite result of finite operands."""
        return self._runs.roots()

    def fetch(self, values: Iterable[int]) -> dict[int, np.ndarray]:
        """The arrays of a few values, by one more run unless they came in or are held."""
        return self._runs.fetch(values)

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The whole state before the step, by name."""
        return {n.name: self.engine.numpy(n.value) for n in self.engine.named_state(self.state)}

    def run(self, change: Change) -> Outcome:
        """Run the step with one thing changed."""
        match change:
            case changes.Unchanged():
                return self._outcome(self._runs.result)
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

    def after(self) -> State:
        """The whole state after the step."""
        return self._runs.after()

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
        plain = self._runs.result
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
