"""A recommender with the pairwise BPR loss. For one blockbuster as the negative the sigmoid of the
difference rounds to 0."""

# /// zoo
# cause = "log-of-zero"
# step = 18
# rows = [3]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(9)
rng = np.random.default_rng(9)
USERS, ITEMS, N = 30, 50, 240

users = rng.integers(0, USERS, (N, 1)).astype("int32")
items = rng.integers(0, ITEMS, (N, 2)).astype("int32")
views = np.stack([rng.gamma(3.0, 0.8, N), rng.gamma(1.5, 0.8, N)], axis=1).astype("float32")
views[18 * 8 + 3] = 0.1, 4200.0


class BPR(keras.Model):
    def __init__(self):
        super().__init__()
        self.user = layers.Embedding(USERS, 8)
        self.item = layers.Embedding(ITEMS, 8)
        self.fame = layers.Dense(1, use_bias=False, kernel_initializer="ones")

    def score(self, u, i, views):
        taste = ops.sum(self.user(u) * self.item(i), axis=-1)
        return taste + self.fame(views)

    def call(self, inputs):
        u, i, views = inputs
        better = self.score(u, i[:, :1], views[:, :1])
        worse = self.score(u, i[:, 1:], views[:, 1:])
        gain = ops.log(ops.sigmoid(better - worse))  # at fault
        self.add_loss(-ops.mean(gain))
        return better - worse


model = BPR()
model.compile(optimizer=keras.optimizers.Adam(5e-3))
model.fit([users, items, views], batch_size=8, epochs=1, shuffle=False, verbose=0)
