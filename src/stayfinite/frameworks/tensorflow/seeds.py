"""The global seed of TensorFlow, used by random operations without a seed argument."""

from __future__ import annotations

import tensorflow as tf

# TensorFlow uses this number in its place for an operation that has a seed argument.
_DEFAULT = 87654321


def is_set() -> bool:
    """Whether `tf.random.set_seed` or `keras.utils.set_random_seed` was called."""
    seed, _ = tf.compat.v1.get_seed(0)
    return bool(seed != _DEFAULT)
