"""A train step on TensorFlow, run eagerly on a given state: once as it was, once in float64."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.effects import suppressed
from stayfinite.frameworks.keras import calls as keras_calls
from stayfinite.frameworks.keras import loss_scales, optimizer_settings, own_values
from stayfinite.frameworks.loss_scale import are_gradients_asked_for
from stayfinite.frameworks.names import fresh, path_of
from stayfinite.frameworks.recording.engine import (
    EagerResult,
    Engine,
    NamedValue,
    OutputNumbers,
    Update,
    named_values,
)
from stayfinite.frameworks.recording.recording import Recording
from stayfinite.frameworks.state import State, Tensor, keeps_its_infinities
from stayfinite.frameworks.subject import Subject, state_variables
from stayfinite.frameworks.tensorflow import private, private_functions, private_random
from stayfinite.frameworks.tensorflow.call_arguments import CallArguments
from stayfinite.frameworks.tensorflow.capture import OpRecord
from stayfinite.frameworks.tensorflow.float64 import WideShadows
from stayfinite.frameworks.tensorflow.state import numpy_of, state_of, store
from stayfinite.frameworks.tensorflow.watching import watched, without_watch

# Below, one pass in NumPy is cheaper than the launch of an op.
_SMALL = 1 << 14


class TensorFlowEngine:
    """Runs the train step of a subject on TensorFlow; implements `Engine`."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        # Whether the step draws numbers from a state that is in no variable of the model, as
        # `tf.random.uniform` does; None until it has been run. To have the same ones each time
        # TensorFlow has to clear its kernel cache, which takes as long as a small step.
        self._draws: bool | None = None
        self._draws_seeded = False

    def named_state(self, state: State) -> list[NamedValue]:
        """The values of `state` with role and unique path."""
        return named_values(self.subject, state)

    def tensor(self, value: Tensor) -> Any:
        """A NumPy array as a tensor."""
        return value if tf.is_tensor(value) else tf.convert_to_tensor(value)

    def run(
        self,
        state: State,
        batch: Batch,
        recording: Recording | None = None,
        *,
        keep_after: bool = False,
    ) -> EagerResult:
        """Run the train step on copies of `state`, and leave the variables as they were."""
        with self._on(state), contextlib.ExitStack() as stack:
            record = None
            if recording is not None:
                record = self._begun(recording, state, batch)
                stack.enter_context(keras_calls.entered(recording.inside))
                stack.enter_context(record.active())
            notes = GivenNotes(self.is_finite, record)
            with watched(notes):
                logs = self.subject.train_step(batch.data)
            # Operations from here on are not part of the step.
            stack.close()
            if record is not None:
                self._draws = self._draws or record.draws
                self._draws_seeded = self._draws_seeded or record.draws_seeded
            outputs = None if record is None else self._outputs(state, record, notes, logs)
            after = state_of(self.subject) if keep_after else None
            return EagerResult(notes.loss, notes.updates, self._bad_state(state), outputs, after)

    def compiled(self) -> Engine:
        """One that makes the step as one program, where XLA compiles it for the training."""
        if self.subject.compilation.xla is not True or self._draws is not False:
            return self
        # A program of XLA draws other numbers, also from the same seed, as a dropout does.
        if self._draws_seeded:
            return self
        # Imported here because it is made of this one.
        from stayfinite.frameworks.tensorflow.compiled_engine import CompiledEngine

        engine = CompiledEngine(self.subject)
        engine._draws = False
        return engine

    def update(self, state: State, updates: list[Update], factor: float) -> tuple[str, ...]:
        """Apply given gradients on `state`; returns the names of the bad new state."""
        with self._on(state):
            for update in updates:
                with optimizer_settings.scaled_learning_rate(update.optimizer, factor):
                    update.optimizer.apply(update.gradients, update.variables)
            return self._bad_state(state)

    def run_wide(self, state: State, batch: Batch) -> EagerResult:
        """Run the train step with every floating-point value in float64."""
        wide = WideShadows()
        notes = GivenNotes(self.is_finite, None, wide.of)
        with self._on(state):
            for variable, value in self._variables(state):
                wide.hold(variable, value)
            for leaf in batch.leaves:
                wide.seed(leaf.value)
            with wide.active(), watched(notes):
                self.subject.train_step(batch.data)
            bad = self._bad_state(state, wide.of_variable)
        return EagerResult(notes.loss, notes.updates, bad)

    def on_device(self, device: str) -> AbstractContextManager[None]:
        """Operations are computed on `device`; variables are read and written where they are."""
        scope: AbstractContextManager[None] = tf.device(device)
        return scope

    def moved(self, tensor: Any, device: str) -> Any:
        """The tensor itself: an operation copies what is on another device."""
        return tensor

    def is_finite(self, tensor: Any) -> bool:
        """Whether every element is finite; integers always are."""
        tensor = tensor.values if isinstance(tensor, tf.IndexedSlices) else tensor
        if tensor.dtype.is_complex:
            return bool(np.isfinite(tensor.numpy()).all())
        if not tensor.dtype.is_floating:
            return True
        if tensor.shape.num_elements() <= _SMALL:
            return bool(np.isfinite(tensor.numpy()).all())
        # By the sum of squares where it does not overflow: one pass, no mask of the same size.
        attrs = ("T", tensor.dtype.as_datatype_enum)
        total = private.execute("L2Loss", [tensor], attrs, 1)[0]
        if np.isfinite(total.numpy()):
            return True
        finite = private.execute("IsFinite", [tensor], attrs, 1)[0]
        return bool(finite.numpy().all())

    def numpy(self, tensor: Tensor) -> np.ndarray:
        """The tensor on the host; that of an embedding's gradient is made dense."""
        return numpy_of(tensor)

    @contextlib.contextmanager
    def _on(self, state: State) -> Iterator[None]:
        """The model on `state` inside the block, eagerly, and as it was afterwards."""
        before = state_of(self.subject)
        try:
            store(self.subject, state)
            self.subject.reset_metrics()
            with (
                suppressed(),
                own_values.kept(self.subject),
                contextlib.nullcontext()
                if self._draws is False
                else private_random.same_random_numbers(),
                private_functions.functions_as_written(),
                without_watch(),
            ):
                yield
        finally:
            store(self.subject, before)

    def _variables(self, state: State) -> list[tuple[tf.Variable, Any]]:
        variables = [private.raw(v) for group in state_variables(self.subject) for v in group]
        return list(zip(variables, state.values, strict=True))

    def _begun(self, recording: Recording, state: State, batch: Batch) -> OpRecord:
        record = OpRecord(recording)
        pairs = zip(self.named_state(state), self._variables(state), strict=True)
        for named, (variable, _) in pairs:
            dtype = variable.dtype.name
            record.hold(variable, recording.leaf(named.role, named.name, variable.shape, dtype))
        data = batch.data
        on_host = data.form.on_host if isinstance(data, CallArguments) else frozenset()
        for position, leaf in enumerate(batch.leaves):
            value: Any = leaf.value
            number = recording.leaf(leaf.role, leaf.name, value.shape, value.dtype.name)
            record.bind(value, number)
            if position in on_host:
                record.bind_on_host(numpy_of(value), number)
        return record

    def _outputs(
        self, state: State, record: OpRecord, notes: GivenNotes, logs: Any
    ) -> OutputNumbers:
        new_state: dict[str, int] = {}
        pairs = zip(self.named_state(state), self._variables(state), strict=True)
        for named, (variable, _) in pairs:
            number = record.held(variable)
            if named.role != "metric" and variable.dtype.is_floating and number is not None:
                new_state[named.name] = number
        observed = [record.number(leaf) for leaf in keras.tree.flatten(logs) if tf.is_tensor(leaf)]
        return OutputNumbers(notes.loss_number, notes.gradient_numbers, new_state, tuple(observed))

    def _is_bad(self, named: NamedValue, after: Any) -> bool:
        if self.is_finite(after):
            return False
        if not named.may_keep_infinity:
            return True
        return not keeps_its_infinities(self.numpy(named.value), self.numpy(after))

    def _bad_state(
        self, state: State, value: Callable[[Any], Any] = lambda variable: variable.read_value()
    ) -> tuple[str, ...]:
        pairs = zip(self.named_state(state), self._variables(state), strict=True)
        bad = [
            named.name
            for named, (variable, _) in pairs
            if named.role != "metric" and self._is_bad(named, value(variable))
        ]
        slots = state_variables(self.subject)[2]
        collapsed = loss_scales.collapsed_scales(
            self.subject.optimizers, state.optimizer, lambda n: private.raw(slots[n]).read_value()
        )
        return (*bad, *collapsed)


class GivenNotes:
    """Notes what is differentiated and what an optimizer is given; a `Watcher`."""

    def __init__(
        self,
        is_finite: Callable[[Any], bool],
        record: OpRecord | None,
        value: Callable[[Any], Any] = lambda tensor: tensor,
    ) -> None:
        self._is_finite = is_finite
        self._record = record
        self._value = value
        self.loss: Any = None
        self.loss_number: int | None = None
        self.updates: list[Update] = []
        self.gradient_numbers: dict[str, int] = {}

    def differentiating(self, loss: Any) -> None:
        """The first loss that is not finite, else the last one."""
        if self.loss is None or self._is_finite(self.loss):
            self.loss = self._value(loss)
            self.loss_number = None if self._record is None else self._record.number(loss)

    def applying(
        self, optimizer: Any, grads: list[Any], variables: list[Any], apply: Callable[[], None]
    ) -> None:
        """Note the gradients, unless a loss scale that can still be lowered handles them."""
        scale = getattr(optimizer, "dynamic_scale", None)
        with tf.init_scope():  # its number is known outside of a program that is traced
            is_skipping = scale is not None and not loss_scales.is_spent(scale)
        if not is_skipping or are_gradients_asked_for():
            self._note(optimizer, grads, variables)
        apply()

    def _note(self, optimizer: Any, grads: list[Any], variables: list[Any]) -> None:
        # Gradients that a loop adds up in variables are read before it sets them to 0.
        given = [g.read_value() if isinstance(g, tf.Variable) else self._value(g) for g in grads]
        self.updates.append(Update(optimizer, given, variables))
        if self._record is not None:
            for gradient, variable in zip(grads, variables, strict=True):
                name = fresh(path_of(variable), self.gradient_numbers)
                self.gradient_numbers[name] = self._record.number(gradient)

    def assigning(self, variable: Any) -> None:
        """Nothing: the state is restored after the run."""
