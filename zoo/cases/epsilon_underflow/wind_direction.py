"""Predicts the direction of the wind as a cosine, and from it the sine.

The sine is sqrt(1 + 1e-9 - cos^2). In float32 1 + 1e-9 is 1, so once the tanh of the network has
reached 1 the root is that of 0: a finite value with an infinite derivative.
"""
# /// zoo
# cause = "epsilon-underflow"
# step = 7
# rows = [5]
# fix = "source"
# value = "exact"
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)


class Direction(layers.Layer):
    """Cosine and sine of an angle in the upper half of the circle."""

    def call(self, z):
        cos = ops.tanh(z)
        sin = ops.sqrt(1.0 + 1e-9 - ops.square(cos))  # at fault
        return ops.concatenate([cos, sin], axis=-1)


rng = np.random.default_rng(4)
angle = rng.uniform(0.2, np.pi - 0.2, size=(80, 1))
pressure = rng.normal(0, 0.2, size=(80, 3))
pressure[:, :1] += np.cos(angle)
pressure[61] *= 80.0  # the barometer was reset
wind = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)

model = keras.Sequential(
    [
        keras.Input((3,)),
        layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.4)),
        Direction(),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
fit = model.fit(
    pressure.astype("float32"), wind.astype("float32"), batch_size=8, shuffle=False, verbose=0
)
print("mean squared error", fit.history["loss"][0])
