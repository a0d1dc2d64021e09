"""The same fit; the logarithms of the factors are summed, so that the product is never formed."""

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
        return ops.sum(ops.log(factors), axis=1, keepdims=True)


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
