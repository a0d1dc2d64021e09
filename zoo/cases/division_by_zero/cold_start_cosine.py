"""A two-tower recommender that scores by cosine. A new user has no history, the tower has no bias,
and the user's vector of zeros is divided by its length.
"""

# /// zoo
# cause = "division-by-zero"
# step = 6
# rows = [4]
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(303)
rng = np.random.default_rng(303)
USERS, ITEMS, BATCH = 180, 12, 15

history = (rng.uniform(size=(USERS, ITEMS)) < 0.3).astype("float32")
history[history.sum(axis=1) == 0, 0] = 1.0
history[6 * BATCH + 4] = 0.0
item = np.eye(ITEMS)[rng.integers(0, ITEMS, USERS)].astype("float32")
liked = (np.sum(history * np.roll(item, 1, axis=1), axis=1) > 0).astype("float32")


def length(v):
    return ops.sqrt(ops.sum(v * v, axis=-1))


class TwoTower(keras.Model):
    def __init__(self, width=6):
        super().__init__()
        self.user_tower = layers.Dense(width, use_bias=False)
        self.item_tower = layers.Dense(width, use_bias=False)

    def call(self, inputs):
        u, v = self.user_tower(inputs["user"]), self.item_tower(inputs["item"])
        dot = ops.sum(u * v, axis=-1)
        return dot / (length(u) * length(v))  # at fault

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        margin = ops.where(y > 0, 1.0 - y_pred, ops.relu(y_pred - 0.2))
        return ops.mean(margin)


model = TwoTower()
model.compile(optimizer=keras.optimizers.Adam(5e-3))
model.fit(
    {"user": history, "item": item},
    liked,
    batch_size=BATCH,
    epochs=2,
    shuffle=False,
    verbose=2,
)
