"""The seed of TensorFlow that random operations without one of their own depend on."""

from __future__ import annotations

import tensorflow as tf

# What an operation gets in its place, with a seed of its own.
_DEFAULT = 87654321


def is_set() -> bool:
    """Whether `tf.random.set_seed` or `keras.utils.set_random_seed` was called."""
    seed, _ = tf.compat.v1.get_seed(0)
    return bool(seed != _DEFAULT)
