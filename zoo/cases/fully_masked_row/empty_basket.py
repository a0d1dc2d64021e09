"""Recommends the next article from a basket, by attention over the articles in it.

Places without an article are masked with -inf. A customer who returned with an empty basket has
a row of nothing but -inf, whose softmax is NaN, and the NaN reaches every weight of the layer.
"""
# /// zoo
# cause = "fully-masked-row"
# step = 6
# rows = [7]
# fix = "source"
# value = "undefined"
# stands_for = ["F01"]
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
ARTICLES, PLACES = 40, 6


class BasketAttention(layers.Layer):
    def __init__(self, width):
        super().__init__()
        self.embed = layers.Embedding(ARTICLES, width)
        self.score = layers.Dense(1)

    def call(self, basket):
        articles = self.embed(basket)
        scores = self.score(articles)[..., 0]
        scores = ops.where(ops.equal(basket, 0), -np.inf, scores)
        weights = ops.softmax(scores, axis=-1)  # at fault
        return ops.einsum("bp,bpw->bw", weights, articles)


rng = np.random.default_rng(0)
baskets = rng.integers(1, ARTICLES, size=(128, PLACES))
following = baskets[:, 0].copy()
filled = rng.integers(1, PLACES + 1, size=128)
filled[55] = 0
baskets[np.arange(PLACES) >= filled[:, None]] = 0

model = keras.Sequential(
    [
        keras.Input((PLACES,), dtype="int32"),
        BasketAttention(16),
        layers.Dense(ARTICLES),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(1e-2),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
history = model.fit(baskets, following, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
