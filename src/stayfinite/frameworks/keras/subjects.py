"""The two trainings of Keras that can be guarded: a model with `fit`, and a hand-written loop."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType
from typing import Any

import keras
import numpy as np

from stayfinite.errors import UsageError
from stayfinite.frameworks import base
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras import rebuilding
from stayfinite.frameworks.keras.held_arrays import holder_of
from stayfinite.frameworks.subject import (
    Compilation,
    HeldArray,
    Layer,
    Optimizer,
    Subject,
    TrainFunction,
    TrainStep,
    Variable,
)
from stayfinite.graph.graph import Role


class KerasModel(Subject):
    """A compiled `keras.Model`.

    Args:
        model: The model.
        weak: Whether it may be deleted meanwhile. Its guard must not keep it alive.
    """

    def __init__(self, model: Any, *, weak: bool = False) -> None:
        self._model: Callable[[], Any] = weakref.ref(model) if weak else lambda: model

    @property
    def model(self) -> Any:
        """The model.

        Raises:
            ReferenceError: it has been deleted.
        """
        model = self._model()
        if model is None:
            raise ReferenceError("the guarded model has been deleted")
        return model

    def kept_alive(self) -> KerasModel:
        """The same with a strong reference to the model."""
        return KerasModel(self.model)

    @property
    def name(self) -> str:
        """The name of the model."""
        return str(self.model.name)

    @property
    def kind(self) -> str:
        """The class of the model."""
        return type(self.model).__name__

    @property
    def input_names(self) -> list[str] | None:
        """The names of the inputs of a functional model."""
        return _input_names(self.model)

    @property
    def is_built(self) -> bool:
        """Whether the weights have been made."""
        return bool(self.model.built)

    @property
    def trainable_variables(self) -> list[Variable]:
        """Those of the model."""
        return list(self.model.trainable_variables)

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Those of the model."""
        return list(self.model.non_trainable_variables)

    @property
    def metrics_variables(self) -> list[Variable]:
        """Those of the model."""
        return list(self.model.metrics_variables)

    @property
    def optimizers(self) -> list[Optimizer]:
        """The compiled optimizer, then those that are attributes of the model."""
        return keras_private.optimizers_of(self.model)

    @property
    def train_step(self) -> TrainStep:
        """`model.train_step`."""
        step: TrainStep = self.model.train_step
        return step

    @property
    def train_function(self) -> TrainFunction | None:
        """`model.train_function`, which Keras sets to None when the model is compiled."""
        function: TrainFunction | None = getattr(self.model, "train_function", None)
        return function

    @train_function.setter
    def train_function(self, function: TrainFunction | None) -> None:
        self.model.train_function = function

    @property
    def uses_default_train_step(self) -> bool:
        """Whether the model does not override `train_step`."""
        return keras_private.uses_default_train_step(self.model)

    @property
    def uses_default_metrics(self) -> bool:
        """Whether the model does not override `compute_metrics`."""
        return keras_private.uses_default_metrics(self.model)

    @property
    def compilation(self) -> Compilation:
        """The options of `model.compile`."""
        model = self.model
        return Compilation(
            eager=model.run_eagerly,
            xla=model.jit_compile,
            steps_per_execution=model.steps_per_execution,
            # Of TensorFlow's trainer only.
            strategy=getattr(model, "distribute_strategy", None),
        )

    def roles(self) -> list[list[Role]]:
        """The roles of the variables of a state."""
        return keras_private.roles(self)

    def layers(self) -> list[Layer]:
        """Every layer of the model."""
        return keras_private.flatten_layers(self.model)

    def layer(self, path: str) -> Layer | None:
        """The layer with this path."""
        return keras_private.layer_at(self.layers(), path)

    def holder_of(self, array: np.ndarray, codes: Sequence[CodeType]) -> HeldArray | None:
        """What holds an array that is no variable."""
        return holder_of(array, self.layers(), codes)

    def make_train_function(self, step: TrainStep | None = None) -> TrainFunction:
        """Have Keras compile `step` in the place of `model.train_step`."""
        model = self.model
        replaced = (
            contextlib.nullcontext()
            if step is None
            else keras_private.set_attribute(model, "train_step", step)
        )
        with replaced:
            type(model).make_train_function(model, force=step is not None)
        function: TrainFunction = model.train_function
        return function

    def reset_metrics(self) -> None:
        """Reset the metrics of the model."""
        self.model.reset_metrics()

    def metrics_result(self) -> dict[str, object]:
        """`model.get_metrics_result()`."""
        return dict(self.model.get_metrics_result())

    def forget_functions(self) -> None:
        """Set both functions to None, so that Keras makes them again."""
        self.model.test_function = self.model.predict_function = None

    def state_was_stored(self) -> None:
        """Keep `fit` from writing its own copy of the state back."""
        keras_private.keep_stored_state(self.model)

    def config(self) -> dict[str, object] | None:
        """The config of the model and its `compile`, if all objects in it are of Keras."""
        return rebuilding.config_of(self.model)

    def prepare(self, data: object) -> None:
        """As `fit` does before its first step."""
        keras_private.symbolic_build(self.model, data)

    def save_weights(self, path: Path) -> None:
        """`model.save_weights`."""
        self.model.save_weights(path)


class KerasLoop(Subject):
    """A hand-written step that changes the variables of a model in place.

    Args:
        step: The user's step, called with a batch.
        model: The Keras model that it trains.
        optimizers: The optimizers that it applies, at least one.

    Attributes:
        before_step: Called with the loop before each step of any loop.
    """

    before_step: Callable[[Subject], object] = staticmethod(lambda subject: None)

    def __init__(self, step: Callable[..., Any], model: Any, optimizers: Sequence[Any]) -> None:
        backend = base.current()
        self._model = model
        self._optimizers = list(optimizers)
        self._step = backend.uncompiled(step)
        self._compilation = backend.compilation(step)
        self._takes_one_argument = False
        self.train_function: TrainFunction | None = None

    def kept_alive(self) -> KerasLoop:
        """The loop itself, which refers to its model."""
        return self

    @property
    def name(self) -> str:
        """The name of the model."""
        return str(self._model.name)

    @property
    def kind(self) -> str:
        """The class of the model."""
        return type(self._model).__name__

    @property
    def input_names(self) -> list[str] | None:
        """The names of the inputs of a functional model."""
        return _input_names(self._model)

    @property
    def is_built(self) -> bool:
        """True: the optimizer of a loop is built, and with it the model."""
        return True

    @property
    def trainable_variables(self) -> list[Variable]:
        """Those of the model."""
        return list(self._model.trainable_variables)

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Those of the model."""
        return list(self._model.non_trainable_variables)

    @property
    def metrics_variables(self) -> list[Variable]:
        """None: the step updates metrics of its own, if any."""
        return []

    @property
    def optimizers(self) -> list[Optimizer]:
        """As they were given."""
        return list(self._optimizers)

    @property
    def train_step(self) -> TrainStep:
        """The user's step on one batch."""
        return self._call

    @property
    def uses_default_train_step(self) -> bool:
        """False: what follows the update is not known."""
        return False

    @property
    def uses_default_metrics(self) -> bool:
        """False: the step may update metrics of its own."""
        return False

    @property
    def compilation(self) -> Compilation:
        """As the user compiled the step."""
        return self._compilation

    def roles(self) -> list[list[Role]]:
        """The roles of the variables of a state."""
        return keras_private.roles(self)

    def layers(self) -> list[Layer]:
        """Every layer of the model."""
        return keras_private.flatten_layers(self._model)

    def layer(self, path: str) -> Layer | None:
        """The layer with this path."""
        return keras_private.layer_at(self.layers(), path)

    def holder_of(self, array: np.ndarray, codes: Sequence[CodeType]) -> HeldArray | None:
        """What holds an array that is no variable."""
        return holder_of(array, self.layers(), codes)

    def make_train_function(self, step: TrainStep | None = None) -> TrainFunction:
        """Compile `step` as the user compiled the step of the loop."""
        function = base.current().compiled(step or self.train_step, self._compilation)
        self.train_function = function
        return function

    def reset_metrics(self) -> None:
        """Nothing: see `metrics_variables`."""

    def metrics_result(self) -> dict[str, object]:
        """None: see `metrics_variables`."""
        return {}

    def forget_functions(self) -> None:
        """Nothing: a loop has no others."""

    def state_was_stored(self) -> None:
        """Nothing: the loop holds no other copy of the state."""

    def config(self) -> dict[str, object] | None:
        """None: the step is a function of the user's."""
        return None

    def prepare(self, data: object) -> None:
        """Nothing: the optimizers of a loop are built, and it has no metrics."""

    def save_weights(self, path: Path) -> None:
        """`model.save_weights`."""
        self._model.save_weights(path)

    def call(self, args: tuple[Any, ...]) -> Any:
        """Make one guarded step with the arguments of the user's call; returns its result."""
        assert self.train_function is not None
        batch = self._batch_of(args)
        self.before_step(self)
        return self.train_function(base.current().one_batch(batch))

    def _call(self, data: Any) -> Any:
        return self._step(data) if self._takes_one_argument else self._step(*data)

    def _batch_of(self, args: tuple[Any, ...]) -> Any:
        """The batch: the arguments, or the only one."""
        self._takes_one_argument = len(args) == 1
        return args[0] if self._takes_one_argument else args


class KerasStatelessLoop(KerasLoop):
    """A hand-written step from state to state, as on JAX."""

    def __init__(self, step: Callable[..., Any], model: Any, optimizers: Sequence[Any]) -> None:
        super().__init__(step, model, optimizers)
        self._metrics: list[Variable] = []
        self._structure: Any = None

    @property
    def metrics_variables(self) -> list[Variable]:
        """One for each array of the fourth part of the state, which the user's loop holds."""
        return list(self._metrics)

    @property
    def train_step(self) -> TrainStep:
        """The user's step as Keras has it: `(state, data)` to `(logs, state)`."""
        return self._stateless

    def call(self, args: tuple[Any, ...]) -> Any:
        """Make one guarded step; the first argument is the state.

        Raises:
            UsageError: it is not a state of the model and its optimizer.
        """
        assert self.train_function is not None
        state, *rest = args
        parts = self._parts(state)
        if len(self._metrics) != len(parts[3]):
            self._metrics = [_MetricValue(value) for value in parts[3]]
        self._structure = state
        batches = base.current().one_batch(self._batch_of(tuple(rest)))
        self.before_step(self)
        logs, new = self.train_function(tuple(parts), batches)
        return logs["out"], keras.tree.pack_sequence_as(state, _flat(new))

    def _stateless(self, state: Any, data: Any) -> Any:
        packed = keras.tree.pack_sequence_as(self._structure, _flat(state))
        one = self._takes_one_argument
        out, new = self._step(packed, data) if one else self._step(packed, *data)
        return {"loss": _loss_of(out), "out": out}, tuple(self._parts(new))

    def _parts(self, state: Any) -> list[list[Any]]:
        """`state` as Keras's four lists; a fourth part, of metrics, may be missing."""
        expected = (
            len(self.trainable_variables),
            len(self.non_trainable_variables),
            len(self.optimizers[0].variables),
        )
        parts = [list(part) for part in state] if isinstance(state, tuple | list) else []
        if len(parts) not in (3, 4) or tuple(map(len, parts[:3])) != expected:
            raise UsageError(
                "the state of a guarded step has to be (trainable, non-trainable, optimizer "
                f"variables) of the model and its optimizer, of lengths {expected}; received "
                f"{tuple(map(len, parts)) or type(state).__name__}"
            )
        return [*parts, *[[]] * (4 - len(parts))]


class _MetricValue:
    """The value of a metric that the user's loop holds; a `Variable`."""

    path = "metric"

    def __init__(self, value: Any) -> None:
        self.value = value

    def assign(self, value: Any) -> None:
        self.value = value


def _input_names(model: Any) -> list[str] | None:
    # A model that subclasses `keras.Model` has no `inputs`.
    inputs = getattr(model, "inputs", None)
    return [tensor.name for tensor in inputs] if inputs else None


def _flat(state: Any) -> list[Any]:
    return [value for part in state for value in part]


def _loss_of(out: Any) -> Any:
    if isinstance(out, dict):
        return out.get("loss")
    return out[0] if isinstance(out, tuple | list) else out
