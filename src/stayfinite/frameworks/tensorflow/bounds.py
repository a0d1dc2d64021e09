"""Where an optimizer's new state is finite without looking at it.

To see that an update went wrong, and to undo it, a copy of weights and optimizer variables would
be needed on every step. But with gradients, state and learning rate within the limits below, none
of Keras's usual optimizers can leave the range of float32, not in a thousand million steps. The
limits are far beyond any healthy training; a step outside them is made on a copy.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.tensorflow import private

# On the L2 norm of all gradients, and of the whole state, and on the learning rate.
MAX_GRADIENTS = 1e8
MAX_STATE = 1e10
MAX_LEARNING_RATE = 10.0

_SAFE_DTYPES = ("float32", "float64")
# Variables that a square root is taken of.
_SQUARES = ("_velocities", "_velocity_hats", "_accumulators", "_u")


def half_square_sum(tensors: list[Any]) -> Any:
    """Half of the sum of all squares, in float32: one fused pass over each tensor."""
    parts = [tf.nn.l2_loss(tf.cast(dense(tensor), tf.float32)) for tensor in tensors]
    return tf.add_n(parts) if parts else tf.constant(0.0)


def dense(gradient: Any) -> Any:
    """The numbers of a gradient, that of an embedding too."""
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def is_bounded(optimizer: Any, variables: list[Any]) -> Any:
    """Whether weights and optimizer variables are within the limits, as a boolean tensor."""
    floating = [private.raw(v) for v in (*variables, *optimizer.variables)]
    total = half_square_sum([v for v in floating if v.dtype.is_floating])
    # Written so that a NaN is out of bounds.
    bounded = total <= MAX_STATE**2 / 2
    for slot in squares(optimizer):
        bounded &= tf.reduce_min(private.raw(slot)) >= 0
    return bounded


def squares(optimizer: Any) -> list[Any]:
    """Optimizer variables that must not be negative."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    found = [getattr(inner, name, None) or [] for name in _SQUARES]
    return [slot for slots in found for slot in slots if slot is not None]


def learning_rate_term(optimizer: Any) -> Any:
    """A number that is above `MAX_GRADIENTS` where the learning rate is out of bounds."""
    rate = tf.cast(tf.convert_to_tensor(optimizer.learning_rate), tf.float32)
    # A negative rate makes weight decay a growth.
    return tf.where(rate >= 0, rate, math.nan) * (MAX_GRADIENTS / MAX_LEARNING_RATE)


def gradient_limit(optimizer: Any) -> Any:
    """The limit for `half_square_sum` of the gradients that `optimizer.apply` is given."""
    if not isinstance(optimizer, keras_private.LossScaleOptimizer):
        return MAX_GRADIENTS**2 / 2
    scale = tf.cast(private.raw(optimizer.dynamic_scale), tf.float32)
    limit = (MAX_GRADIENTS * scale) ** 2 / 2
    # A scale at the ends of its range is for the careful way.
    return tf.where((scale >= 1e-10) & (scale <= 1e10), limit, math.nan)


def is_provable(optimizer: Any, variables: list[Any]) -> bool:
    """Whether the limits are enough for this optimizer with its present settings."""
    if isinstance(optimizer, keras_private.LossScaleOptimizer):
        if type(optimizer) is not keras_private.LossScaleOptimizer:
            return False
        optimizer = optimizer.inner_optimizer
    tensors = [private.raw(v) for v in variables]
    return (
        _law(optimizer)
        and all(v.dtype.name in _SAFE_DTYPES for v in tensors)
        and not any(getattr(v, "constraint", None) is not None for v in variables)
        and not any(getattr(v, "overwrite_with_gradient", False) for v in variables)
        and _has_plain_rate(optimizer)
        and _within(optimizer.weight_decay, 0.0, 0.1)
        and _within(optimizer.clipnorm, 1e-6, 1e6)
        and _within(optimizer.global_clipnorm, 1e-6, 1e6)
        and _within(optimizer.clipvalue, 1e-10, 1e6)
        and _within(optimizer.loss_scale_factor, 1.0, 1e10)
        and _within(optimizer.gradient_accumulation_steps, 1, 100)
        and (not optimizer.use_ema or _within(optimizer.ema_momentum, 0.0, 1.0))
    )


def _has_plain_rate(optimizer: Any) -> bool:
    # A callable of the user's own may do anything when it is called once more.
    rate = optimizer._learning_rate
    schedules = keras.optimizers.schedules.LearningRateSchedule
    own = type(rate).__module__.partition(".")[0] == "keras"
    return own and isinstance(rate, private.KerasVariable | schedules)


def _law(optimizer: Any) -> bool:
    named = keras.optimizers
    kind = type(optimizer)
    if kind is named.SGD:
        return _within(optimizer.momentum, 0.0, 0.9999)
    if kind in (named.Adam, named.AdamW, named.Adamax):
        return all(_within(b, 0.0, 0.999999) for b in (optimizer.beta_1, optimizer.beta_2)) and (
            _has_epsilon(optimizer)
        )
    if kind is named.RMSprop:
        return not optimizer.centered and (
            _within(optimizer.rho, 0.0, 1.0)
            and _within(optimizer.momentum, 0.0, 0.9999)
            and _has_epsilon(optimizer)
        )
    if kind is named.Adagrad:
        return _has_epsilon(optimizer)
    if kind is named.Lion:
        return all(_within(b, 0.0, 1.0) for b in (optimizer.beta_1, optimizer.beta_2))
    return False


def _has_epsilon(optimizer: Any) -> bool:
    return optimizer.epsilon is not None and _within(optimizer.epsilon, 1e-10, 1e6)


def _within(number: Any, low: float, high: float) -> bool:
    if number is None:
        return True
    return isinstance(number, int | float) and low <= number <= high
