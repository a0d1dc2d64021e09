"""Tensors of TensorFlow as arrays of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from stayfinite.frameworks.filed_batch import TensorForm
from stayfinite.frameworks.tensorflow import private


def _array_of(leaf: Any) -> np.ndarray | None:
    """A tensor as an array with the same memory; None where it is on another device."""
    is_on_host = type(leaf) is private.EagerTensor and "CPU" in leaf.device
    return np.asarray(leaf) if is_on_host else None


TENSORS = TensorForm(_array_of, tf.convert_to_tensor)
