"""Settings of a training that are changed until the program ends."""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Callable
from typing import Any

import keras

from stayfinite.frameworks.change import (
    ClipNorm,
    HighestRate,
    LastingChange,
    LearningRate,
    Settings,
)
from stayfinite.frameworks.keras import loss_scales, optimizer_settings, rate_limits
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.subject import Subject

# Left when the program ends, while the interpreter can still run what leaves it.
_ENTERED = contextlib.ExitStack()
atexit.register(_ENTERED.close)


def lasting(subject: Subject, change: LastingChange) -> Callable[[], None]:
    """What makes `change`, relative to the learning rates of now, for all later steps.

    Call it when the state to go on from has been set. A lowered learning rate is a limit: later
    ones, that a callback sets or a schedule computes, do not rise above it. One that a schedule
    computes is also multiplied by the factor of the change. A compiled step has to be compiled
    again afterwards.
    """
    optimizers = [loss_scales.inner_optimizer(optimizer) for optimizer in subject.optimizers]
    factor = change.factor if isinstance(change, LearningRate) else 1.0
    now = [float(keras.ops.convert_to_numpy(each.learning_rate)) * factor for each in optimizers]
    if isinstance(change, HighestRate):
        now = [min(rate, change.rate) for rate in now]
    if isinstance(change, ClipNorm):
        change = change.settings()

    def make() -> None:
        for optimizer, rate in zip(optimizers, now, strict=True):
            given = keras_private.learning_rate_of(optimizer)
            is_limited = not isinstance(change, Settings)
            if hasattr(given, "assign"):
                given.assign(rate)
                if is_limited:
                    rate_limits.limit_variable(given, rate)
            elif is_limited:
                _ENTERED.enter_context(rate_limits.limited_schedule(optimizer, factor, rate))
        if isinstance(change, Settings):
            _set(subject, optimizers, dict(change.values))

    return make


def _set(subject: Subject, optimizers: list[Any], values: dict[str, object]) -> None:
    given = map(keras_private.learning_rate_of, optimizers)
    variables = [each for each in given if hasattr(each, "assign")]
    if "learning_rate" in values and variables:
        rate = values.pop("learning_rate")
        for variable in variables:
            variable.assign(rate)
    _ENTERED.enter_context(optimizer_settings.settings(subject, values))
