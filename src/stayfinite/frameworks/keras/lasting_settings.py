"""Settings of a training that are changed until the program ends."""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Callable
from typing import Any

from stayfinite.frameworks.change import ClipNorm, LastingChange, LearningRate, Settings
from stayfinite.frameworks.keras import loss_scales, optimizer_settings
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.subject import Subject

# Left when the program ends, while the interpreter can still run what leaves it.
_ENTERED = contextlib.ExitStack()
atexit.register(_ENTERED.close)


def lasting(subject: Subject, change: LastingChange) -> Callable[[], None]:
    """What makes `change`, relative to the learning rates of now, for all later steps.

    Call it when the state to go on from has been set. A learning rate that is a variable is set,
    so that callbacks can go on to change it. One that a schedule computes is replaced. A compiled
    step has to be compiled again afterwards.
    """
    optimizers = [loss_scales.inner_optimizer(optimizer) for optimizer in subject.optimizers]
    factor = change.factor if isinstance(change, LearningRate) else 1.0
    rates = [
        (variable, float(variable.numpy()) * factor)
        for variable in map(keras_private.learning_rate_of, optimizers)
        if hasattr(variable, "assign")
    ]
    if isinstance(change, ClipNorm):
        change = change.settings()

    def make() -> None:
        for variable, rate in rates:
            variable.assign(rate)
        if isinstance(change, Settings):
            _set(subject, rates, dict(change.values))
        elif len(rates) < len(optimizers):
            _ENTERED.enter_context(_scaled_schedules(optimizers, factor))

    return make


def _set(subject: Subject, rates: list[tuple[Any, float]], values: dict[str, object]) -> None:
    if "learning_rate" in values and rates:
        rate = values.pop("learning_rate")
        for variable, _ in rates:
            variable.assign(rate)
    _ENTERED.enter_context(optimizer_settings.settings(subject, values))


@contextlib.contextmanager
def _scaled_schedules(optimizers: list[Any], factor: float) -> Any:
    with contextlib.ExitStack() as stack:
        for optimizer in optimizers:
            if not hasattr(keras_private.learning_rate_of(optimizer), "assign"):
                stack.enter_context(optimizer_settings.scaled_learning_rate(optimizer, factor))
        yield
