"""Contrastive training of image and text codes by one tower; the softmax is written out."""

# /// zoo
# cause = "overflow"
# step = 8
# rows = [6]
# fix = "source"
# value = "exact"
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(15)
rng = np.random.default_rng(15)
BATCH = 20
topic = rng.normal(size=(400, 8))
image = (topic + 0.3 * rng.normal(size=topic.shape)).astype("float32")
text = (topic + 0.3 * rng.normal(size=topic.shape)).astype("float32")
image[8 * BATCH + 6] *= 30.0
text[8 * BATCH + 6] *= 30.0


class SharedTower(keras.Model):
    def __init__(self, dim=6):
        super().__init__()
        self.tower = keras.Sequential([layers.Dense(16, activation="relu"), layers.Dense(dim)])
        self.log_tau = self.add_weight(shape=(), initializer="zeros", name="log_tau")

    def call(self, pair):
        return self.tower(pair[0]), self.tower(pair[1])

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        a, b = y_pred
        similarity = ops.matmul(a, ops.transpose(b))
        similarity = similarity / ops.exp(self.log_tau)
        weights = ops.exp(similarity)  # at fault
        positive = ops.diagonal(weights)
        share = positive / ops.sum(weights, axis=1)
        return -ops.mean(ops.log(share + 1e-7))


model = SharedTower()
model.compile(optimizer=keras.optimizers.Adam(2e-3))
model.fit([image, text], np.zeros(400), batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
