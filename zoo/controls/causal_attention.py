"""Attention by hand in which the future is -inf before the softmax.

Each position sees at least itself, so no row of scores is -inf throughout.
"""
# /// zoo
# stands_for = ["F01"]
# ///

import keras
import numpy as np
from keras import ops


class CausalAttention(keras.layers.Layer):
    """One head that looks back only."""

    def __init__(self, width):
        super().__init__()
        self.width = width
        self.query, self.key, self.value = (keras.layers.Dense(width) for _ in range(3))

    def call(self, x):
        scores = ops.matmul(self.query(x), ops.transpose(self.key(x), (0, 2, 1)))
        length = ops.shape(x)[1]
        visible = ops.tril(ops.ones((length, length), dtype="bool"))
        scores = ops.where(visible, scores / self.width**0.5, -np.inf)
        return ops.matmul(ops.softmax(scores, axis=-1), self.value(x))


keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
tokens = rng.integers(0, 12, (96, 9))
model = keras.Sequential(
    [
        keras.Input((8,), dtype="int32"),
        keras.layers.Embedding(12, 8),
        CausalAttention(8),
        keras.layers.Dense(12),
    ]
)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
history = model.fit(tokens[:, :-1], tokens[:, 1:], batch_size=12, epochs=2, verbose=0)
print("loss", history.history["loss"][-1])
