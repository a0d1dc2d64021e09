"""Gradient clipping by the formulas of `keras.Optimizer`, on gradients that are already there.

In NumPy: compiling a clip for each shape of a network takes longer than all of the clipping.
"""

from __future__ import annotations

import numpy as np


def by_norm(gradient: np.ndarray, norm: float) -> np.ndarray:
    """`Optimizer(clipnorm=norm)`: scaled down to L2 norm `norm` where it is longer."""
    with np.errstate(all="ignore"):
        length = np.sqrt(np.sum(np.square(gradient)))
        clipped: np.ndarray = gradient * norm / np.maximum(length, norm)
    return clipped.astype(gradient.dtype)


def by_value(gradient: np.ndarray, value: float) -> np.ndarray:
    """`Optimizer(clipvalue=value)`: each element into `[-value, value]`."""
    clipped: np.ndarray = np.clip(gradient, -value, value)
    return clipped.astype(gradient.dtype)


def only_clip(norm: float) -> dict[str, float | None]:
    """The settings of an optimizer that clips by `clipnorm=norm` and in no other way."""
    return {"clipnorm": norm, "global_clipnorm": None, "clipvalue": None}
