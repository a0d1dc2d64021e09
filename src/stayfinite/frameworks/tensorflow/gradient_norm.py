"""The norm of the gradients on TensorFlow, by an eager step that is not applied.

In the compiled step one more reader of a gradient changes which ops are fused, and with it the last
bit of the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from stayfinite.frameworks.subject import Subject
from stayfinite.frameworks.tensorflow import bounds
from stayfinite.frameworks.tensorflow.guard_sentinel import VariableValues
from stayfinite.frameworks.tensorflow.watching import watched


class _GradientReader:
    """A `Watcher` that takes the gradients, applies none, and keeps what the step overwrites."""

    def __init__(self) -> None:
        self.gradients: list[Any] = []
        self.values = VariableValues()

    def differentiating(self, loss: Any) -> None:
        """Nothing."""

    def assigning(self, variable: Any) -> None:
        """Keep the old value."""
        self.values.save([variable])

    def applying(
        self, optimizer: Any, grads: list[Any], variables: list[Any], apply: Callable[[], None]
    ) -> None:
        """Take the gradients; no update is made."""
        self.gradients.extend(bounds.dense(grad) for grad in grads)


def gradient_norm(subject: Subject, data: object) -> float:
    """The norm on a batch at the present weights; a loss scale is in it."""
    reader = _GradientReader()
    try:
        with watched(reader):
            subject.train_step(data)
    finally:
        reader.values.restore([])
    squares = [tf.reduce_sum(tf.square(tf.cast(g, "float32"))) for g in reader.gradients]
    return float(tf.sqrt(tf.add_n(squares))) if squares else 0.0
