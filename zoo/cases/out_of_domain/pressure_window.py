"""The spread of pressure readings in a window is a feature: E[x^2] - E[x]^2, then the root.

Readings are in bar. One station sends pascal, and the difference of two numbers near 1e10 is a
negative rounding error in float32.
"""

# /// zoo
# cause = "out-of-domain"
# step = 10
# rows = [5]
# fix = "source"
# value = "exact"
# backends = ["jax", "torch"]
# stands_for = ["A09"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
stormy = rng.integers(2, size=112)
bar = 1.0 + (0.02 + 0.1 * stormy[:, None]) * rng.normal(size=(112, 8))
bar[85] = [101324.87, 101325.16, 101324.86, 101325.42, 101325.11, 101324.86, 101324.42, 101324.61]
bar = bar.astype("float32")


class Spread(layers.Layer):
    """Standard deviation of the readings, in one pass."""

    def call(self, x):
        mean = ops.mean(x, axis=1)
        mean_square = ops.mean(ops.square(x), axis=1)
        variance = mean_square - ops.square(mean)
        return ops.sqrt(variance)[:, None]  # at fault


readings = keras.Input((8,))
h = layers.Dense(6, activation="tanh")(Spread()(readings))
storm = layers.Dense(1)(h)
model = keras.Model(readings, storm)
model.compile(
    optimizer=keras.optimizers.Adam(0.02), loss=keras.losses.BinaryCrossentropy(from_logits=True)
)
model.fit(bar, stormy, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate(bar, stormy, verbose=0))
