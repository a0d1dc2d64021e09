"""A Keras model that is trained with `fit` or `train_on_batch`, as a subject."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import keras

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.attributes import set_attribute
from stayfinite.frameworks.base import GuardedFunction, OnBad
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras import rebuilding
from stayfinite.frameworks.keras.subject import KerasSubject
from stayfinite.frameworks.optimizers import Optimizer
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.state import Variable
from stayfinite.frameworks.subject import Compilation, TrainFunction, TrainStep

# True while a guard has a train function made, in which no other guard has a place.
IS_MAKING: ContextVar[bool] = ContextVar("IS_MAKING", default=False)


class KerasModel(KerasSubject):
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

    def attach(self, recorder: Recorder, on_bad: OnBad, *, resumes: bool) -> GuardedFunction:
        """As any training of Keras.

        A train function of the user's own is not guarded: it may change the state in ways that the
        guard cannot undo.

        Raises:
            CannotGuardError: the model brings its own train function, or attaching failed.
        """
        _require_functions_of_keras(self.model)
        return super().attach(recorder, on_bad, resumes=resumes)

    def kept_alive(self) -> KerasModel:
        """The same with a strong reference to the model."""
        return KerasModel(self.model)

    @property
    def is_built(self) -> bool:
        """Whether the weights have been made."""
        return bool(self.model.built)

    @property
    def metrics_variables(self) -> list[Variable]:
        """Those of the model."""
        return list(self.model.metrics_variables)

    @property
    def optimizers(self) -> list[Optimizer]:
        """The compiled optimizer, then those that are attributes of the model."""
        return optimizers_of(self.model)

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
        return getattr(self.model.train_step, "__func__", None) is keras.Model.train_step

    @property
    def uses_default_metrics(self) -> bool:
        """Whether the model does not override `compute_metrics`."""
        compute = getattr(self.model.compute_metrics, "__func__", None)
        return compute is keras.Model.compute_metrics

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

    def make_train_function(self, step: TrainStep | None = None) -> TrainFunction:
        """Have Keras compile `step` in the place of `model.train_step`."""
        model = self.model
        replaced = (
            contextlib.nullcontext() if step is None else set_attribute(model, "train_step", step)
        )
        token = IS_MAKING.set(True)
        try:
            with replaced:
                type(model).make_train_function(model, force=step is not None)
        finally:
            IS_MAKING.reset(token)
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

    def stored_state_is_given_away(self) -> None:
        """Have `fit` take what the step returns, as after any other step."""
        keras_private.keep_state_of_fit(self.model)

    def config(self) -> dict[str, object] | None:
        """The config of the model and its `compile`, if all objects in it are of Keras."""
        return rebuilding.config_of(self.model)

    def prepare(self, data: object) -> None:
        """As `fit` does before its first step."""
        keras_private.symbolic_build(self.model, data)


def _require_functions_of_keras(model: Any) -> None:
    if not _is_by_keras(type(model).make_train_function):
        raise CannotGuardError(
            f"{type(model).__name__} overrides make_train_function, so the guard cannot attach; "
            "override train_step instead"
        )
    if model.train_function is not None and not _is_by_keras(model.train_function):
        raise CannotGuardError(
            f"{type(model).__name__} has a train_function of its own, so the guard cannot attach; "
            "override train_step instead"
        )


def _is_by_keras(function: Any) -> bool:
    module = str(getattr(function, "__module__", None) or type(function).__module__)
    return module.partition(".")[0] in ("keras", "stayfinite")


def optimizers_of(model: Any) -> list[Any]:
    """Every optimizer that a model holds: its compiled one, then those of its own attributes.

    A generative adversarial network has two. The optimizer inside a `LossScaleOptimizer` is not
    listed: its variables are among those of the outer one.
    """
    found: list[Any] = []
    for candidate in (model.optimizer, *vars(model).values()):
        is_optimizer = isinstance(candidate, keras_private.BaseOptimizer)
        if is_optimizer and not any(o is candidate for o in found):
            found.append(candidate)
    scaling = keras_private.LossScaleOptimizer
    inner = [o.inner_optimizer for o in found if isinstance(o, scaling)]
    return [o for o in found if not any(o is i for i in inner)]
