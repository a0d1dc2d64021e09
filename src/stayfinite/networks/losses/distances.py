"""Distances between two embeddings, for a loss: finite in value and gradient at any finite input.

Each takes tensors of shape `(..., dim)` and returns `(..., 1)`. A distance beyond the range of its
dtype is the largest number of that dtype, with gradient 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from keras import ops

from stayfinite.networks.losses.norms import (
    Tensor,
    as_tensor,
    at_least_float32,
    float_range,
    l2_norm,
    l2_normalize,
)


def _at_most(x: Tensor, largest: float) -> Tensor:
    """The smaller of `x`, which is 0 or more, and a number.

    Not `ops.minimum`: Keras 3.15 on PyTorch rounds a float64 tensor to float32 there.
    """
    return ops.clip(x, -largest, largest)


def euclidean_distance(a: Tensor, b: Tensor) -> Tensor:
    """Length of `a - b`, with gradient 0 where the two are equal.

    There the euclidean distance has a kink, and `sqrt(sum(square(a - b)))` the derivative
    inf * 0 = NaN; 0 is the middle of its subgradients.

    Args:
        a: Tensor of shape `(..., dim)`.
        b: Tensor of the same shape.

    Returns:
        Tensor of shape `(..., 1)`, float32 or float64.

    Example:

    >>> stayfinite.losses.euclidean_distance([[0.0, 3.0]], [[4.0, 0.0]])
    Array([[5.]], dtype=float32)
    """
    a, b = at_least_float32(a), at_least_float32(b)
    # By halves, since `a - b` itself may overflow.
    return 2.0 * _at_most(l2_norm(0.5 * a - 0.5 * b), float(float_range(a).max) / 2)


def squared_euclidean_distance(a: Tensor, b: Tensor) -> Tensor:
    """Squared length of `a - b`.

    Args:
        a: Tensor of shape `(..., dim)`.
        b: Tensor of the same shape.

    Returns:
        Tensor of shape `(..., 1)`, float32 or float64. It stops growing where the square (or for
        float16 inputs the gradient, twice the difference) would leave the range of the dtype.

    Example:

    >>> stayfinite.losses.squared_euclidean_distance([[0.0, 3.0]], [[4.0, 0.0]])
    Array([[25.]], dtype=float32)
    """
    a = as_tensor(a)
    longest_gradient = float(float_range(a).max) / 4
    distance = euclidean_distance(a, b)
    longest = math.sqrt(float(float_range(distance).max)) * (1 - 1e-7)
    return ops.square(_at_most(distance, min(longest, longest_gradient)))


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """1 minus the cosine of the angle between `a` and `b`: 0 for equal directions, 2 for opposite.

    A row of zeros has no direction; its distance to any other is 1, as for a right angle.

    Args:
        a: Tensor of shape `(..., dim)`.
        b: Tensor of the same shape.

    Returns:
        Tensor of shape `(..., 1)`, float32 or float64.

    Example:

    >>> stayfinite.losses.cosine_distance([[0.0, 3.0]], [[4.0, 0.0]])
    Array([[1.]], dtype=float32)
    """
    return 1.0 - ops.sum(l2_normalize(a) * l2_normalize(b), axis=-1, keepdims=True)


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "euclidean": euclidean_distance,
    "squared_euclidean": squared_euclidean_distance,
    "cosine": cosine_distance,
}
