"""Gradient clipping by the formulas of `keras.Optimizer`, on gradients that are already there."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp


def by_norm(gradient: Any, norm: float) -> Any:
    """`Optimizer(clipnorm=norm)`: scaled down to L2 norm `norm` where it is longer."""
    square_sum = jnp.sum(jnp.square(gradient))
    length = jnp.where(square_sum > 0, jnp.sqrt(square_sum), square_sum)
    return (gradient * norm / jnp.maximum(length, norm)).astype(gradient.dtype)


def by_value(gradient: Any, value: float) -> Any:
    """`Optimizer(clipvalue=value)`: each element into `[-value, value]`."""
    return jnp.clip(gradient, -value, value)
