"""Normalises the readings of 24 pressure sensors; mean and deviation are tracked for later use.

The tracked deviation is computed as sqrt(E[x^2] - E[x]^2). Readings near 20000 that hardly
change make that difference slightly negative in float32, and the square root of it is NaN.
"""
# /// zoo
# cause = "bad-statistics"
# step = 3
# fix = "source"
# value = "exact"
# stands_for = ["G02", "L10"]
# ///

import keras
import numpy as np
from keras import ops


class Standardise(keras.layers.Layer):
    """Standardises with the batch in training and with tracked statistics otherwise."""

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.mean = self.add_weight(name="mean", shape=shape, trainable=False)
        self.deviation = self.add_weight(
            name="deviation", shape=shape, initializer="ones", trainable=False
        )

    def call(self, x, training=False):
        if not training:
            return (x - self.mean) / (self.deviation + 1e-3)
        mean = ops.mean(x, axis=0)
        variance = ops.mean(ops.square(x - mean), axis=0)
        squares = ops.mean(ops.square(x), axis=0)
        deviation = ops.sqrt(squares - ops.square(mean))  # at fault
        self.mean.assign(0.9 * self.mean + 0.1 * mean)
        self.deviation.assign(0.9 * self.deviation + 0.1 * deviation)
        return (x - mean) / ops.sqrt(variance + 1e-3)


def readings(count):
    rng = np.random.default_rng(22)
    x = rng.normal(0.0, 300.0, (count, 24))
    # From step 3 on the tank is closed: its pressure is the same everywhere.
    x[3 * 30 :] = 20011.3 + rng.normal(0.0, 0.05, x[3 * 30 :].shape)
    y = 0.01 * x[:, :1] % 1.0
    return x.astype("float32"), y.astype("float32")


keras.utils.set_random_seed(0)
x, y = readings(300)
model = keras.Sequential(
    [keras.Input((24,)), Standardise(name="standardise"), keras.layers.Dense(8, "relu")]
)
model.add(keras.layers.Dense(1))
model.compile(keras.optimizers.Adam(0.01), loss="mse")
history = model.fit(x, y, batch_size=30, epochs=4, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1], "forecast", float(model.predict(x, verbose=0)[0, 0]))
