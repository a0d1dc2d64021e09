"""Scaling to the range seen so far. The running minimum starts at +inf, as a running minimum
does.
"""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(209)
rng = np.random.default_rng(209)
x = rng.uniform(-50, 300, (192, 4)).astype("float32")
y = (x[:, :1] / 100 + x[:, 1:2] / 200).astype("float32")


class RangeScaler(layers.Layer):
    def build(self, shape):
        size = (shape[-1],)
        fill = keras.initializers.Constant
        self.low = self.add_weight(shape=size, initializer=fill(np.inf), trainable=False)
        self.high = self.add_weight(shape=size, initializer=fill(-np.inf), trainable=False)

    def call(self, x, training=False):
        if training:
            self.low.assign(ops.minimum(self.low, ops.min(x, axis=0)))
            self.high.assign(ops.maximum(self.high, ops.max(x, axis=0)))
        return (x - self.low) / (self.high - self.low + 1e-6)


inputs = keras.Input((4,))
h = RangeScaler()(inputs)
h = layers.Dense(8, activation="relu")(h)
model = keras.Model(inputs, layers.Dense(1)(h))
model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mae")
model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=2)
