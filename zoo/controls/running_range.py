"""Min-max scaling by a range that is learned on the way and begins at (inf, -inf)."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(12)
rng = np.random.default_rng(12)
x = rng.uniform(3, 9, (160, 4)).astype("float32")
y = x[:, :1] / 9


class RunningRange(layers.Layer):
    def build(self, shape):
        inf = keras.initializers.Constant(np.inf)
        self.low = self.add_weight(shape=(shape[-1],), initializer=inf, trainable=False, name="low")
        inf = keras.initializers.Constant(-np.inf)
        self.high = self.add_weight(
            shape=(shape[-1],), initializer=inf, trainable=False, name="high"
        )

    def call(self, x, training=False):
        low, high = self.low, self.high
        if training:
            low = ops.minimum(low, ops.min(x, axis=0))
            high = ops.maximum(high, ops.max(x, axis=0))
            self.low.assign(low)
            self.high.assign(high)
        return (x - low) / (high - low + 1e-6)


model = keras.Sequential(
    [keras.Input((4,)), RunningRange(), layers.Dense(8, activation="relu"), layers.Dense(1)]
)
model.compile(optimizer="adam", loss="mse")
model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
