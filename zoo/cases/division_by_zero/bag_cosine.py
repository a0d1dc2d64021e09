"""Query-document matching by the cosine of two projections of bags of words (torch)."""

# /// zoo
# cause = "division-by-zero"
# step = 8
# rows = [21]
# fix = "source"
# value = "undefined"
# backends = ["torch"]
# ///

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import torch

keras.utils.set_random_seed(31)
rng = np.random.default_rng(31)
PAIRS, VOCAB, BATCH = 400, 40, 25
query = rng.poisson(0.3, (PAIRS, VOCAB)).astype("float32")
document = (query + rng.poisson(0.3, (PAIRS, VOCAB))).astype("float32")
relevant = rng.integers(0, 2, PAIRS).astype("float32")
document[relevant == 0] = np.roll(document[relevant == 0], 1, axis=0)
query[8 * BATCH + 21] = 0.0  # nothing but stop words


class Cosine(keras.layers.Layer):
    def unit(self, v):
        size = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
        return v.div(size)  # at fault

    def call(self, pair):
        q, d = pair
        return torch.sum(self.unit(q) * self.unit(d), dim=-1, keepdim=True)

    def compute_output_shape(self, shapes):
        return (shapes[0][0], 1)


q_in, d_in = keras.Input((VOCAB,)), keras.Input((VOCAB,))
project = keras.layers.Dense(12, use_bias=False)
similarity = Cosine()([project(q_in), project(d_in)])
score = keras.layers.Dense(1)(similarity)
ranker = keras.Model([q_in, d_in], score)
ranker.compile(keras.optimizers.Adagrad(0.05), keras.losses.BinaryCrossentropy(from_logits=True))
ranker.fit([query, document], relevant, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
