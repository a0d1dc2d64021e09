"""Signed amounts are compressed by a square root before a regression head.

`where` is to use the root for positive values only. sqrt of a negative value is NaN on the side
that is not taken, and its gradient, 0 / (2 * NaN), is NaN as well.
"""

# /// zoo
# cause = "masked-branch"
# step = 12
# rows = [6]
# fix = "source"
# value = "exact"
# backends = ["jax", "torch"]
# stands_for = ["B01", "B03"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(7)
revenue = rng.lognormal(sigma=0.5, size=(160, 4)).astype("float32")
margin = np.sqrt(revenue).sum(axis=1, keepdims=True).astype("float32")
revenue[102] *= -1.0  # a refund
margin[102] = 0.0


class Compress(layers.Layer):
    """The root of what is positive; refunds stay linear."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

    def call(self, amount):
        scaled = amount * self.scale
        return ops.where(scaled > 0, ops.sqrt(scaled), scaled)  # at fault


model = keras.Sequential([keras.Input((4,)), Compress(), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mean_absolute_error")
losses = []
for _ in range(2):
    for first in range(0, len(revenue), 8):
        batch = slice(first, first + 8)
        losses.append(float(model.train_on_batch(revenue[batch], margin[batch])))
print("mean loss:", np.mean(losses))
