"""What every backend uses from Keras that is not public API, in one place.

`tests/frameworks/test_keras_private.py` exercises each name, so a release that moves one of them is
named by the test that fails, not by a user's traceback.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import keras
from keras.src.optimizers.base_optimizer import BaseOptimizer
from keras.src.optimizers.loss_scale_optimizer import LossScaleOptimizer

from stayfinite.frameworks.subject import Layer, Subject
from stayfinite.graph.graph import Role

__all__ = [
    "BaseOptimizer",
    "LossScaleOptimizer",
    "collapsed_scales",
    "dataset_at_work",
    "flatten_layers",
    "has_collapsed",
    "is_spent",
    "keep_stored_state",
    "layer_at",
    "loss_scales",
    "model_of",
    "optimizers_of",
    "roles",
    "scaled_learning_rate",
    "scaled_learning_rates",
    "set_attribute",
    "settings",
    "state_variables",
    "uses_default_metrics",
    "uses_default_train_step",
]


def flatten_layers(model: Any) -> list[Any]:
    """Every layer inside a model, nested ones too; Keras has no public name for that."""
    return list(model._flatten_layers())


def dataset_at_work() -> Any:
    """The `PyDataset` that the innermost `fit` on this thread draws from; None if it has none."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        adapter = getattr(frame.f_locals.get("epoch_iterator"), "data_adapter", None)
        if adapter is not None:
            return getattr(adapter, "py_dataset", None)
        frame = frame.f_back
    return None


def layer_at(layers: Sequence[Layer], path: str) -> Layer | None:
    """The layer whose path is `path`; None where there is none.

    The path of an op begins with the name of the model, that of a layer or weight may not.
    """
    for layer in layers:
        if getattr(layer, "path", None) == path:
            return layer
    name = path.rpartition("/")[2]
    named = [layer for layer in layers if layer.name == name]
    return named[0] if len(named) == 1 else None


def uses_default_train_step(model: Any) -> bool:
    """Whether the train step of a model is Keras's own, so that only metrics follow the update."""
    step = getattr(model.train_step, "__func__", None)
    return step is keras.Model.train_step


def uses_default_metrics(model: Any) -> bool:
    """Whether `compute_metrics` of a model is Keras's own."""
    compute = getattr(model.compute_metrics, "__func__", None)
    return compute is keras.Model.compute_metrics


def model_of(callback: Any) -> Any:
    """The model of a callback. The public property copies the whole state back on JAX."""
    return callback._model


def keep_stored_state(model: Any) -> None:
    """Keep `fit` on JAX from overwriting the variables with its own copy of the state."""
    model._jax_state_synced = True


def optimizers_of(model: Any) -> list[Any]:
    """Every optimizer that a model holds: its compiled one, then those of its own attributes.

    A generative adversarial network has two. The optimizer inside a `LossScaleOptimizer` is not
    listed: its variables are among those of the outer one.
    """
    found: list[Any] = []
    for candidate in (model.optimizer, *vars(model).values()):
        if isinstance(candidate, BaseOptimizer) and not any(o is candidate for o in found):
            found.append(candidate)
    inner = [o.inner_optimizer for o in found if isinstance(o, LossScaleOptimizer)]
    return [o for o in found if not any(o is i for i in inner)]


def loss_scales(optimizers: Sequence[Any]) -> list[int]:
    """Where in the optimizer variables of a state the scales of `LossScaleOptimizer` are."""
    found: list[int] = []
    first = 0
    for optimizer in optimizers:
        variables = optimizer.variables
        if isinstance(optimizer, LossScaleOptimizer) and optimizer.built:
            scale = optimizer.dynamic_scale
            found += [first + n for n, v in enumerate(variables) if v is scale]
        first += len(variables)
    return found


def is_spent(scale: Any) -> bool:
    """Whether a loss scale magnifies no longer, so that a step it skips is a bad one."""
    return float(scale) <= 1.0


def collapsed_scales(
    optimizers: Sequence[Any], before: Sequence[Any], after: Callable[[int], Any]
) -> list[str]:
    """The paths of the loss scales for which a step was too much: see `has_collapsed`.

    `before` are the optimizer variables of a state; `after(n)` is what number `n` of them became.
    """
    variables = [variable for optimizer in optimizers for variable in optimizer.variables]
    # As numbers: a step in float64 has another dtype than the state.
    return [
        variables[n].path
        for n in loss_scales(optimizers)
        if has_collapsed(float(before[n]), float(after(n)))
    ]


def has_collapsed(before: Any, after: Any) -> Any:
    """Whether a step halved a loss scale that had nothing left to give, as the backend's boolean.

    Gradients that overflow are the normal way of finding the scale. If they are not finite although
    the loss was not magnified at all, it is not the scale that made them so, and every further
    step is skipped, too.
    """
    return (after < 1.0) & (after < before)


def state_variables(subject: Subject) -> list[list[Any]]:
    """The variables of a state: trainable, non-trainable, of all optimizers, of metrics."""
    return [
        subject.trainable_variables,
        subject.non_trainable_variables,
        [variable for optimizer in subject.optimizers for variable in optimizer.variables],
        subject.metrics_variables,
    ]


def roles(subject: Subject) -> list[list[Role]]:
    """The role of each variable of `state_variables(subject)`.

    A weight that is frozen is not trainable either, and no moving statistic.
    """
    trainable, others, of_optimizers, of_metrics = state_variables(subject)
    frozen = {
        id(variable)
        for layer in subject.layers()
        for variable in getattr(layer, "_trainable_variables", ())
    }
    return [
        ["weight"] * len(trainable),
        ["weight" if id(variable) in frozen else "statistics" for variable in others],
        ["optimizer"] * len(of_optimizers),
        ["metric"] * len(of_metrics),
    ]


@contextlib.contextmanager
def settings(subject: Subject, values: Mapping[str, Any]) -> Iterator[None]:
    """Attributes of the optimizers of `subject` with other values inside the block.

    A number for `learning_rate` stands in the place of a schedule too. `constraint` is set on
    each trainable weight. An optimizer that has no such attribute is left as it is.
    """
    with contextlib.ExitStack() as stack:
        for outer in subject.optimizers:
            inner = outer.inner_optimizer if isinstance(outer, LossScaleOptimizer) else outer
            for name, value in values.items():
                if name == "learning_rate":
                    # Not a default argument: a schedule is called without any.
                    rate = _constant(value)
                    stack.enter_context(set_attribute(inner, "_get_current_learning_rate", rate))
                elif hasattr(inner, name):
                    stack.enter_context(set_attribute(inner, name, value))
        if "constraint" in values:
            for variable in subject.trainable_variables:
                stack.enter_context(set_attribute(variable, "_constraint", values["constraint"]))
        yield


@contextlib.contextmanager
def set_attribute(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name = value` inside the block, past what a Keras object tracks of its attributes."""
    held = vars(owner)
    missing = object()
    before = held.get(name, missing)
    held[name] = value
    try:
        yield
    finally:
        if before is missing:
            held.pop(name, None)
        else:
            held[name] = before


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


@contextlib.contextmanager
def scaled_learning_rate(optimizer: Any, factor: float) -> Iterator[None]:
    """The learning rate of `optimizer` times `factor` inside the block, schedules included."""
    target = optimizer.inner_optimizer if isinstance(optimizer, LossScaleOptimizer) else optimizer
    plain = target._get_current_learning_rate
    with set_attribute(target, "_get_current_learning_rate", lambda: plain() * factor):
        yield


@contextlib.contextmanager
def scaled_learning_rates(subject: Subject, factor: float) -> Iterator[None]:
    """`scaled_learning_rate` for every optimizer of `subject`."""
    with contextlib.ExitStack() as stack:
        for optimizer in subject.optimizers:
            stack.enter_context(scaled_learning_rate(optimizer, factor))
        yield
