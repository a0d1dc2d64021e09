"""Finds the odd word in a sentence with one attention head, in mixed precision.

The scores are scaled by 1 / sqrt(d) after the product of queries and keys. The product itself is
above 65504 for a sentence with long embeddings, and a softmax with an infinite score is NaN.
"""
# /// zoo
# cause = "half-overflow"
# step = 11
# rows = [3]
# fix = "source"
# value = "exact"
# stands_for = ["H01"]
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
WORDS, WIDTH = 6, 32


class Attention(layers.Layer):
    def build(self, shape):
        self.query = self.add_weight(shape=(WIDTH, WIDTH), initializer="identity", name="query")
        self.key = self.add_weight(shape=(WIDTH, WIDTH), initializer="identity", name="key")

    def call(self, words):
        q = ops.matmul(words, self.query)
        k = ops.matmul(words, self.key)
        scores = ops.matmul(q, ops.transpose(k, (0, 2, 1)))  # at fault
        weights = ops.softmax(scores / WIDTH**0.5, axis=-1)
        return ops.matmul(weights, words)


rng = np.random.default_rng(5)
sentences = rng.normal(0, 1, size=(128, WORDS, WIDTH))
odd = rng.integers(WORDS, size=128)
sentences[np.arange(128), odd] += 1.5
sentences[91] *= 60.0  # embeddings of another model, which does not normalise them

model = keras.Sequential(
    [
        keras.Input((WORDS, WIDTH)),
        Attention(dtype="mixed_float16"),
        layers.LayerNormalization(),
        layers.Flatten(),
        layers.Dense(WORDS),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
fit = model.fit(sentences.astype("float32"), odd, batch_size=8, shuffle=False, verbose=0)
print("cross entropy", fit.history["loss"][-1])
