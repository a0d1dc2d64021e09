"""The sentinel: one flag on the device.

`guarded.py` puts it into the train step.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class Sentinel:
    """The flag on the device.

    `count` is the number of good steps, and `~count` once a step was bad: it then stays so.
    `bounded` says that the state is known to be within the limits of `bounds`.
    """

    def __init__(self) -> None:
        with tf.init_scope():
            self.count = tf.Variable(0, dtype=tf.int64, trainable=False, name="num_good_steps")
            self.bounded = tf.Variable(False, trainable=False, name="bounded")

    def reset(self) -> None:
        """No step has been seen."""
        self.count.assign(0)
        self.bounded.assign(False)

    def note(self, good: Any) -> Any:
        """A step was made; returns the new count. `good` is false once a step was bad."""
        count = self.count.read_value()
        after = tf.where(good, count + 1, tf.where(count < 0, count, ~count))
        self.count.assign(after)
        return after
