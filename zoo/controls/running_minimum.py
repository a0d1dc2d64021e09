"""Tracks the range of each feature; before the first batch its ends are inf and -inf.

The state of the model is non-finite until the first step has been made, and that is meant.
"""

import keras
import numpy as np
from keras import ops


class RangeTracker(keras.layers.Layer):
    """Passes its input on and remembers its range."""

    def build(self, shape):
        endless = keras.initializers.Constant(np.inf)
        self.low = self.add_weight(
            name="low", shape=(shape[-1],), initializer=endless, trainable=False
        )
        self.high = self.add_weight(
            name="high",
            shape=(shape[-1],),
            initializer=keras.initializers.Constant(-np.inf),
            trainable=False,
        )

    def call(self, x, training=False):
        if training:
            self.low.assign(ops.minimum(self.low, ops.min(x, axis=0)))
            self.high.assign(ops.maximum(self.high, ops.max(x, axis=0)))
        return x


keras.utils.set_random_seed(0)
rng = np.random.default_rng(28)
x = rng.normal(size=(80, 4)).astype("float32")
y = x.sum(axis=1)
model = keras.Sequential([keras.Input((4,)), RangeTracker(name="range"), keras.layers.Dense(1)])
model.compile("sgd", "mse")
history = model.fit(x, y, batch_size=10, epochs=2, verbose=0)
print("loss", history.history["loss"][-1], model.get_layer("range").get_weights())
