"""Where an eager update is known to be finite by a few operations on the device.

The limits below are far beyond any healthy training. For an optimizer whose state, gradients and
learning rate are inside them, `keras/optimizer_bounds.py` decides whether every one of the next
`STEPS` updates is finite. A step outside the limits is made on a copy.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import keras
import tensorflow as tf

from stayfinite.frameworks.keras import optimizer_bounds
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.optimizer_bounds import Bounds, Sizes
from stayfinite.frameworks.tensorflow import private

# On the L2 norm of all gradients, and of the whole state, and on the learning rate.
MAX_GRADIENTS = 1e8
MAX_STATE = 1e10
MAX_LEARNING_RATE = 10.0
# After so many updates at most the state is measured again.
STEPS = 1000

_SAFE_DTYPES = ("float32", "float64")


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
    for slot in _never_negative(optimizer):
        bounded &= tf.reduce_min(private.raw(slot)) >= 0
    return bounded


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
    # At the ends of the range of the scale, the old state is kept.
    return tf.where((scale >= 1e-10) & (scale <= 1e10), limit, math.nan)


def is_provable(optimizer: Any, variables: list[Any]) -> bool:
    """Whether the limits are enough for this optimizer with its present settings."""
    if isinstance(optimizer, keras_private.LossScaleOptimizer):
        if type(optimizer) is not keras_private.LossScaleOptimizer:
            return False
        optimizer = optimizer.inner_optimizer
    rate = keras_private.learning_rate_of(optimizer)
    # A callable of the user may have side effects.
    plain_rate = isinstance(rate, keras.Variable) or keras_private.is_keras_schedule(rate)
    bounds = optimizer_bounds.bounds_of(optimizer, variables)
    slots = None if bounds is None else optimizer_bounds.slots_of(optimizer, bounds.row)
    return (
        bounds is not None
        and slots is not None
        and plain_rate
        and all(private.raw(v).dtype.name in _SAFE_DTYPES for v in variables)
        and _stays_finite(bounds, tuple(slots))
    )


@functools.lru_cache(maxsize=64)
def _stays_finite(bounds: Bounds, slots: tuple[str, ...]) -> bool:
    """Whether `STEPS` updates from the limit of the state, with gradients at theirs, are finite."""
    sizes: Sizes | None = Sizes(MAX_STATE, dict.fromkeys(slots, MAX_STATE))
    for _ in range(STEPS):
        if sizes is None:
            return False
        sizes = bounds.after_update(sizes, MAX_GRADIENTS, MAX_LEARNING_RATE)
    return sizes is not None


def _never_negative(optimizer: Any) -> list[Any]:
    inner = optimizer
    if isinstance(optimizer, keras_private.LossScaleOptimizer):
        inner = optimizer.inner_optimizer
    row = optimizer_bounds.row_of(inner)
    slots = None if row is None else optimizer_bounds.slots_of(inner, row)
    if row is None or slots is None:
        return []
    return [slot for name in row.never_negative for slot in slots.get(name, ())]
