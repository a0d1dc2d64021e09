"""A model with a `compute_loss` of its own: a margin by softplus, where exp would overflow."""
# /// zoo
# stands_for = ["D10"]
# ///

import keras
import numpy as np
from keras import ops


class Ranker(keras.Model):
    """Scores two documents; the better one should have the higher score."""

    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(12, activation="tanh")
        self.score = keras.layers.Dense(1)

    def call(self, pair):
        return self.score(self.hidden(pair[:, 0])) - self.score(self.hidden(pair[:, 1]))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        # 200 times the difference: log(1 + exp(200 * d)) by hand would overflow.
        return ops.mean(ops.softplus(-200.0 * y * y_pred))


keras.utils.set_random_seed(0)
rng = np.random.default_rng(19)
pairs = rng.normal(size=(128, 2, 6)).astype("float32")
better = np.sign(pairs[:, 0, :2].sum(axis=1) - pairs[:, 1, :2].sum(axis=1))[:, None]

model = Ranker()
model.compile(optimizer=keras.optimizers.Adam(0.01))
history = model.fit(pairs, better.astype("float32"), batch_size=16, epochs=3, verbose=0)
print("loss", history.history["loss"][-1])
