"""X"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

Tensor = Any  # a tensor of whichever backend, a KerasTensor, or a NumPy array

# A row with no entry above this has no usable direction: the gradient of x / |x| grows as 1 / |x|.
SMALLEST_ENTRY = 1e-6


def as_tensor(x: Tensor) -> Tensor:
    """`x` as it is if symbolic, else as a tensor of the backend."""
    return x if keras.utils.is_keras_tensor(x) else ops.convert_to_tensor(x)


def at_least_float32(x: Tensor) -> Tensor:
    """`x` in float32 or float64: half precision holds neither squares nor their sum."""
    x = as_tensor(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    return x if dtype in ("float32", "float64") else ops.cast(x, "float32")


def float_range(x: Tensor) -> np.finfo[Any]:
    """The range of the dtype of a tensor; bfloat16 and integers count as float32."""
    dtype = keras.backend.standardize_dtype(x.dtype)
    return np.finfo(dtype if dtype in ("float16", "float64") else "float32")


def _rescale(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`largest`, `scale`, `x / scale` and its squared length, for rows along the last axis.

    The scale is the largest entry, kept within 5/8 of the exponents of the dtype: then neither the
    squares nor, on the way back, gradient times scale can leave the range.
    """
    exponent = 5 * int(float_range(x).maxexp) // 8
    largest = ops.stop_gradient(ops.max(ops.abs(x), axis=-1, keepdims=True))
    scale = ops.clip(largest, _limit(x, -exponent), _limit(x, exponent))
    scaled = x / scale
    return largest, scale, scaled, ops.sum(ops.square(scaled), axis=-1, keepdims=True)


def _limit(x: Tensor, exponent: int) -> Any:
    """This power of 2 as a limit of `ops.clip` for values like `x`.

    Keras 3.15 on PyTorch rounds plain numbers to float32 there. A symbolic operation has to have
    plain ones: it is saved with them.
    """
    limit, dtype = 2.0**exponent, keras.backend.standardize_dtype(x.dtype)
    is_plain = dtype != "float64" or keras.utils.is_keras_tensor(x)
    return limit if is_plain else ops.convert_to_tensor(limit, dtype=dtype)


def l2_norm(x: Tensor) -> Tensor:
    """Length of each row along the last axis, which is kept with size 1.

    The gradient is the direction of the row, a vector of length 1; it is 0 where the row is 0.

    Args:
        x: Floating point tensor of shape `(..., dim)`. Half precision is computed in float32.

    Returns:
        Tensor of shape `(..., 1)`, float32 or float64; infinite only where the length itself is
        beyond the range of that dtype.

    Example:

    >>> stayfinite.losses.l2_norm([[3e30, 4e30], [0.0, 0.0]])
    Array([[5.e+30], [0.e+00]], dtype=float32)
    """
    x = at_least_float32(x)
    _, scale, _, square = _rescale(x)
    is_zero = square < float(float_range(x).tiny)
    # The inner `where` keeps the root away from 0 in the gradient too; the outer sets the value.
    return ops.where(is_zero, 0.0, scale * ops.sqrt(ops.where(is_zero, 1.0, square)))


def l2_normalize(x: Tensor) -> Tensor:
    """Rows of length 1 along the last axis; a row of no length is passed through as it is.

    `keras.ops.normalize` (hence `UnitNormalization` and `CosineSimilarity`) has a NaN gradient at a
    row of zeros on JAX and one of 1e7 on TensorFlow. Here such a row, or any without an entry above
    1e-6 (6e-5 in float16), keeps its value, and its gradient passes through it unchanged.

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
