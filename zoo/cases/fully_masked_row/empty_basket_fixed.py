"""The same recommendation; the first place of an empty basket stays visible."""

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
        masked = ops.logical_and(ops.equal(basket, 0), np.arange(PLACES) > 0)
        scores = ops.where(masked, -np.inf, scores)
        weights = ops.softmax(scores, axis=-1)
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
