"""Ranges of the floating-point dtypes, from `ml_dtypes.finfo`."""

from __future__ import annotations

import functools

import ml_dtypes
import numpy as np

# Half-precision dtypes by name. float16 has a narrow range, bfloat16 a short significand.
HALF = ("float16", "bfloat16")


@functools.cache
def largest(dtype: str) -> float:
    """The largest finite number of `dtype`; that of float32 for a dtype that is no float."""
    return float(_info(dtype).max)


@functools.cache
def smallest(dtype: str) -> float:
    """The smallest positive number of `dtype` that a device keeps.

    Devices flush subnormal numbers to 0, except in float16.
    """
    info = _info(dtype)
    return float(info.smallest_subnormal if dtype == "float16" else info.smallest_normal)


@functools.cache
def spacing(dtype: str) -> float:
    """The distance from 1 to the next larger number of `dtype`."""
    return float(_info(dtype).eps)


def widened(array: np.ndarray) -> np.ndarray:
    """`array` in float64, or in complex128 if it is complex."""
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def rounded(array: np.ndarray, dtype: str) -> np.ndarray:
    """`array` rounded to the floating-point type `dtype`; values out of range become infinite."""
    with np.errstate(over="ignore"):
        return array.astype(_numpy(dtype))


def _info(dtype: str) -> ml_dtypes.finfo:
    found = _numpy(dtype)
    is_float = found.kind == "f" or found.name == "bfloat16"
    return ml_dtypes.finfo(found if is_float else np.float32)


def _numpy(dtype: str) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
