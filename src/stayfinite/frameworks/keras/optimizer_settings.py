"""Settings of the optimizers of a Keras model, changed inside a block, and their slots."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras

from stayfinite.frameworks.attributes import set_attribute
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.loss_scales import inner_optimizer
from stayfinite.frameworks.subject import Subject


@contextlib.contextmanager
def settings(subject: Subject, values: Mapping[str, Any]) -> Iterator[None]:
    """Attributes of the optimizers of `subject` with other values inside the block.

    A number for `learning_rate` also replaces a schedule. `constraint` is set on
    each trainable weight. An optimizer that has no such attribute is left as it is.
    """
    with contextlib.ExitStack() as stack:
        for outer in subject.optimizers:
            inner = inner_optimizer(outer)
            for name, value in values.items():
                if name == "learning_rate":
                    # Not a default argument: a schedule is called without any.
                    rate = _constant(value)
                    stack.enter_context(keras_private.learning_rate_by(inner, rate))
                elif hasattr(inner, name):
                    stack.enter_context(set_attribute(inner, name, value))
        if "constraint" in values:
            variables: list[Any] = subject.trainable_variables
            for variable in variables:
                stack.callback(setattr, variable, "constraint", variable.constraint)
                variable.constraint = values["constraint"]
        yield


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


@contextlib.contextmanager
def scaled_learning_rate(optimizer: Any, factor: float) -> Iterator[None]:
    """The learning rate of `optimizer` times `factor` inside the block, schedules included."""
    target = inner_optimizer(optimizer)
    plain = keras_private.current_learning_rate(target)
    with keras_private.learning_rate_by(target, lambda: plain() * factor):
        yield


@contextlib.contextmanager
def scaled_learning_rates(subject: Subject, factor: float) -> Iterator[None]:
    """`scaled_learning_rate` for every optimizer of `subject`."""
    with contextlib.ExitStack() as stack:
        for optimizer in subject.optimizers:
            stack.enter_context(scaled_learning_rate(optimizer, factor))
        yield


def build_slots(optimizer: Any, variables: Sequence[Any]) -> None:
    """Make the slots of an optimizer, if there are none, as its `apply` does."""
    if not optimizer.built:
        with keras.name_scope(optimizer.name, caller=optimizer):
            optimizer.build(variables)
        optimizer.built = True
