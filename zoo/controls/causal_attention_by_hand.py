"""Causal attention with -inf above the diagonal and -inf on padding, where every query keeps a
key.
"""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(201)
rng = np.random.default_rng(201)
N, TIME, VOCAB = 96, 6, 12
FUTURE = np.triu(np.ones((TIME, TIME), dtype=bool), 1)
tokens = rng.integers(1, VOCAB, (N, TIME))
lengths = rng.integers(1, TIME + 1, N)
tokens[np.arange(TIME)[None] >= lengths[:, None]] = 0
following = np.roll(tokens, -1, axis=1)
following[:, -1] = 0


class CausalAttention(layers.Layer):
    def build(self, x_shape, ids_shape):
        self.q = self.add_weight(shape=(8, 8), initializer="glorot_uniform")
        self.k = self.add_weight(shape=(8, 8), initializer="glorot_uniform")

    def call(self, x, ids):
        scores = ops.einsum("bqd,bkd->bqk", x @ self.q, x @ self.k) / 8**0.5
        padding = ops.expand_dims(ids == 0, 1)
        scores = ops.where(ops.logical_or(FUTURE, padding), -np.inf, scores)
        return x + ops.softmax(scores, axis=-1) @ x


ids = keras.Input((TIME,), dtype="int32")
x = layers.Embedding(VOCAB, 8)(ids)
x = CausalAttention()(x, ids)
model = keras.Model(ids, layers.Dense(VOCAB)(x))
model.compile(
    optimizer=keras.optimizers.SGD(0.1),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
)
model.fit(tokens, following, batch_size=12, epochs=2, shuffle=False, verbose=2)
