"""Fits how fast bacteria multiply, from counts at the end of a long experiment.

The number of cells is a product of one factor an interval, `cumprod` over 96 of them. Most
cultures grow by a tenth an interval; one grows by 1.7, and 2.7 to the 96th power is beyond
float32. The logarithm taken afterwards comes too late.
"""
# /// zoo
# cause = "overflow"
# step = 5
# rows = [7]
# fix = "source"
# value = "exact"
# ///

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
INTERVALS = 96


class Growth(keras.layers.Layer):
    """Log of the final count from the growth rates measured in each interval."""

    def build(self, input_shape):
        self.bias = self.add_weight(shape=(1,), initializer="zeros", name="bias")
        self.gain = self.add_weight(shape=(1,), initializer="ones", name="gain")

    def call(self, rates):
        factors = 1.0 + ops.relu(self.gain * rates + self.bias)
        counts = ops.cumprod(factors, axis=1)  # at fault
        return ops.log(counts[:, -1:])


rng = np.random.default_rng(2)
rates = rng.uniform(0.05, 0.15, size=(64, INTERVALS))
rates[47] += 1.65
final = np.log1p(0.9 * rates).sum(axis=1, keepdims=True) + rng.normal(0, 0.1, size=(64, 1))

model = keras.Sequential([keras.Input((INTERVALS,)), Growth()])
model.compile(keras.optimizers.Adam(1e-3), loss="mse")
history = model.fit(
    rates.astype("float32"), final.astype("float32"), batch_size=8, shuffle=False, verbose=0
)
print("loss", history.history["loss"][-1], "gain", model.layers[0].gain.numpy())
