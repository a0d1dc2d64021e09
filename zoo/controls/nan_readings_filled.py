"""Missing readings are NaN in the batch; the first layer replaces them."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(52)
rng = np.random.default_rng(52)
x = rng.normal(size=(400, 8)).astype("float32")
y = np.nansum(x[:, :3], axis=1)
x[rng.random(x.shape) < 0.1] = np.nan


class Impute(layers.Layer):
    def build(self, shape):
        self.fill = self.add_weight(shape=(shape[-1],), initializer="zeros")

    def call(self, x):
        gap = ops.isnan(x)
        filled = ops.where(gap, self.fill + ops.zeros((1, 8)), x)
        return ops.concatenate([filled, ops.cast(gap, "float32")], axis=-1)


inputs = keras.Input((8,))
h = Impute()(inputs)
h = layers.Dense(16, activation="relu")(h)
model = keras.Model(inputs, layers.Dense(1)(h))
model.compile("adam", "mse")
model.fit(x, y, batch_size=25, epochs=2, shuffle=False, verbose=0)
