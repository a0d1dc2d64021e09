"""Standard deviations over time of a recording that is silent; XLA computes each mean twice."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
frames = rng.normal(size=(32, 20, 12)).astype("float32")
frames[21] = 0.0


class Spread(layers.Layer):
    def call(self, x):
        centred = x - ops.expand_dims(ops.mean(x, axis=1), 1)
        variance = ops.mean(centred**2, axis=1)
        return variance**0.5  # <- here


model = keras.Sequential(
    [keras.Input((20, 12)), layers.Dense(16, "tanh", bias_initializer="normal"), Spread()]
)
model.compile(keras.optimizers.Adam(3e-3), loss="mse")
model.fit(frames, rng.normal(size=(32, 16)), batch_size=8, shuffle=False, verbose=0)
