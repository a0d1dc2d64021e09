"""Learning rates of Keras that stay at or below a limit, whatever sets or computes them."""

from __future__ import annotations

import types
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import keras

from stayfinite.frameworks.keras import private as keras_private

_LIMIT = "_stayfinite_limit"


def limit_variable(variable: Any, limit: float) -> None:
    """Lower each value that is assigned to the learning rate `variable` to `limit`.

    A callback reads the value that is used, so that one which multiplies it goes on from there.
    """
    has_limit = hasattr(variable, _LIMIT)
    setattr(variable, _LIMIT, min(limit, getattr(variable, _LIMIT, limit)))
    if not has_limit:
        variable.assign = types.MethodType(assign, variable)


def assign(variable: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    """`assign` of a learning rate that has a limit.

    A method of the variable with the name that it replaces: so a copy of the variable assigns to
    itself, and a pickled one has the method of its class.
    """
    limited = at_most(value, getattr(variable, _LIMIT))
    return type(variable).assign(variable, limited, *args, **kwargs)


def limited_schedule(optimizer: Any, factor: float, limit: float) -> AbstractContextManager[None]:
    """Inside the block, the computed learning rate times `factor`, at most `limit`."""
    plain: Callable[[], Any] = keras_private.current_learning_rate(optimizer)
    return keras_private.learning_rate_by(optimizer, lambda: at_most(plain() * factor, limit))


def at_most(rate: Any, limit: float) -> Any:
    """The smaller of the two; `rate` may be a number, a variable, or a tensor of any backend."""
    if isinstance(rate, int | float):
        return min(rate, limit)
    return keras.ops.minimum(rate, limit)
