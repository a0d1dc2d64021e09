"""Lengths, directions and distances of vectors with finite values and gradients.

`sqrt(sum(square(x)))` fails in three cases. Its derivative at a zero vector is infinite, and in
float32 the squares overflow above 1.8e19 and underflow below 1e-19. Here each vector is first
divided by its own scale, so that the argument of the square root is near 1. The scale is a constant
for the gradient, which is exact because the result does not depend on the scale.

A distance takes tensors of shape `(..., dim)` and returns `(..., 1)`. A distance beyond the range
of its dtype is the largest number of the dtype, with gradient 0.

Only stock Keras operations are used. On symbolic tensors they become layers of a functional model
that plain Keras saves and loads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

Tensor = Any  # a tensor of whichever backend, a KerasTensor, or a NumPy array

# A vector without an element above this has no usable direction: the gradient of x / |x| grows as
# 1 / |x|.
SMALLEST_ENTRY = 1e-6


def as_tensor(x: Tensor) -> Tensor:
    """Convert `x` to a tensor of the backend, unless it is symbolic."""
    return x if keras.utils.is_keras_tensor(x) else ops.convert_to_tensor(x)


def at_least_float32(x: Tensor) -> Tensor:
    """Cast `x` to float32 unless it is float64; half precision has no range for squares."""
    x = as_tensor(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    return x if dtype in ("float32", "float64") else ops.cast(x, "float32")


def float_range(x: Tensor) -> np.finfo[Any]:
    """Return the range of the dtype of a tensor; that of float32 for bfloat16 and integers."""
    dtype = keras.backend.standardize_dtype(x.dtype)
    return np.finfo(dtype if dtype in ("float16", "float64") else "float32")


def _rescale(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return `largest`, `scale`, `x / scale` and its squared length, along the last axis.

    The scale is the largest element, limited to 5/8 of the exponents of the dtype. Then neither the
    squares nor the gradient times the scale leave the range.
    """
    exponent = 5 * int(float_range(x).maxexp) // 8
    largest = ops.stop_gradient(ops.max(ops.abs(x), axis=-1, keepdims=True))
    scale = ops.clip(largest, _limit(x, -exponent), _limit(x, exponent))
    scaled = x / scale
    return largest, scale, scaled, ops.sum(ops.square(scaled), axis=-1, keepdims=True)


def _limit(x: Tensor, exponent: int) -> Any:
    """Return a power of 2 as a limit of `ops.clip` for values like `x`.

    Keras 3.15 on PyTorch rounds Python numbers to float32 there. A symbolic operation needs Python
    numbers, because it is saved with them.
    """
    limit, dtype = 2.0**exponent, keras.backend.standardize_dtype(x.dtype)
    is_plain = dtype != "float64" or keras.utils.is_keras_tensor(x)
    return limit if is_plain else ops.convert_to_tensor(limit, dtype=dtype)


def l2_norm(x: Tensor) -> Tensor:
    """Compute the length of each vector along the last axis, which is kept with size 1.

    The gradient is the direction, a vector of length 1; it is 0 at a zero vector.

    Args:
        x: Floating point tensor of shape `(..., dim)`. Half precision is computed in float32.

    Returns:
        Tensor of shape `(..., 1)`, float32 or float64; infinite only where the length exceeds the
        range of that dtype.

    Example:

    >>> stayfinite.losses.l2_norm([[3e30, 4e30], [0.0, 0.0]])
    Array([[5.e+30], [0.e+00]], dtype=float32)
    """
    x = at_least_float32(x)
    _, scale, _, square = _rescale(x)
    is_zero = square < float(float_range(x).tiny)
    # The inner `where` keeps the gradient of the root finite; the outer one sets the value.
    return ops.where(is_zero, 0.0, scale * ops.sqrt(ops.where(is_zero, 1.0, square)))


def l2_normalize(x: Tensor) -> Tensor:
    """Scale each vector along the last axis to length 1; a zero vector is returned unchanged.

    `keras.ops.normalize`, used by `UnitNormalization` and `CosineSimilarity`, has a NaN gradient at
    a zero vector on JAX and a gradient of 1e7 on TensorFlow. Here a vector without an element above
    1e-6 (6e-5 in float16) is returned unchanged, and so is its gradient.

    Args:
        x: Floating point tensor of shape `(..., dim)`. Half precision is computed in float32.

    Returns:
        Tensor of the shape of `x`, float32 or float64.

    Example:

    >>> stayfinite.losses.l2_normalize([[3.0, 4.0], [0.0, 0.0]])
    Array([[0.6, 0.8], [0. , 0. ]], dtype=float32)
    """
    x = as_tensor(x)
    smallest = max(SMALLEST_ENTRY, float(float_range(x).tiny))
    x = at_least_float32(x)
    largest, _, scaled, square = _rescale(x)
    is_short = largest < smallest
    return ops.where(is_short, x, scaled * ops.rsqrt(ops.where(is_short, 1.0, square)))


def _at_most(x: Tensor, largest: float) -> Tensor:
    """Return the minimum of `x`, which is 0 or more, and a number.

    `ops.minimum` of Keras 3.15 on PyTorch would round a float64 tensor to float32.
    """
    return ops.clip(x, -largest, largest)


def euclidean_distance(a: Tensor, b: Tensor) -> Tensor:
    """Compute the length of `a - b`, with gradient 0 where the two are equal.

    There the derivative of the euclidean distance does not exist, and that of
    `sqrt(sum(square(a - b)))` evaluates to inf * 0 = NaN. 0 is the central subgradient.

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
    # Halved, because `a - b` may overflow.
    return 2.0 * _at_most(l2_norm(0.5 * a - 0.5 * b), float(float_range(a).max) / 2)


def squared_euclidean_distance(a: Tensor, b: Tensor) -> Tensor:
    """Compute the squared length of `a - b`.

    Args:
        a: Tensor of shape `(..., dim)`.
        b: Tensor of the same shape.

    Returns:
        Tensor of shape `(..., 1)`, float32 or float64. It is limited where the square, or for
        float16 inputs the gradient (twice the difference), would leave the range of the dtype.

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
    """Compute 1 minus the cosine of the angle between `a` and `b`, from 0 to 2.

    A zero vector has no direction; its distance to every vector is 1, as for a right angle.

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
