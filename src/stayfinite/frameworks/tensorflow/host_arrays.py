"""Whether a tensor was made of a NumPy array: no operation says so, as NumPy is not recorded."""

from __future__ import annotations

import numpy as np


def made_of(array: np.ndarray, value: np.ndarray) -> bool:
    """Whether `value` holds the numbers of `array`, or is non-finite in the same samples.

    Numbers of one element do not count, as a constant of the code may be the same. Non-finite ones
    do.

    Args:
        array: An array of the batch.
        value: An array in another shape or dtype.
    """
    if array.size == value.size and (array.size > 1 or not _is_finite(array)):
        cast = array.astype(value.dtype) if array.dtype != value.dtype else array
        if np.array_equal(cast.ravel(), value.ravel(), equal_nan=value.dtype.kind == "f"):
            return True
    if not array.ndim or array.shape[:1] != value.shape[:1]:
        return False
    bad = _bad_samples(array)
    return bool(bad.any()) and np.array_equal(bad, _bad_samples(value))


def _is_finite(array: np.ndarray) -> bool:
    return not _bad_samples(array.reshape(1, -1)).any()


def _bad_samples(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "f":
        return np.zeros(len(array), bool)
    bad: np.ndarray = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    return bad
