"""Separates two classes with gradient steps of fixed length, in an optimizer written by hand.

Once each sample of a batch is on the right side of the margin, the gradient is exactly 0, and its
direction is 0 / 0.
"""
# /// zoo
# cause = "bad-update"
# step = {jax = 6, tensorflow = 6, torch = 6}
# fix = "source"
# value = "undefined"
# stands_for = ["K07"]
# ///

import keras
import numpy as np
from keras import ops


class FixedLengthDescent(keras.optimizers.Optimizer):
    """Goes `learning_rate` far in the direction of the gradient."""

    def build(self, variables):
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        length = ops.sqrt(ops.sum(ops.square(gradient)))
        direction = gradient / length  # at fault
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * direction)

    def get_config(self):
        return super().get_config()


keras.utils.set_random_seed(0)
rng = np.random.default_rng(61)
side = np.where(np.arange(96) % 2 == 0, 1.0, -1.0)[:, None]
points = side * [[1.5, 0.5]] + 0.1 * rng.uniform(-1.0, 1.0, size=(96, 2))

model = keras.Sequential(
    [keras.Input((2,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
)
model.compile(optimizer=FixedLengthDescent(0.12), loss="hinge")
history = model.fit(
    points.astype("float32"), side, batch_size=8, epochs=2, shuffle=False, verbose=0
)
print("loss", history.history["loss"][-1])
