"""Embeddings kept apart by the distance to the nearest other one; inf keeps each from being its own
neighbour."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(7)
rng = np.random.default_rng(7)
N = 8
x = rng.normal(size=(160, 5)).astype("float32")


def apart(y_true, z):
    gap = ops.sum(ops.square(z[:, None] - z[None, :]), axis=-1)
    nearest = ops.min(ops.where(ops.eye(N, dtype="bool"), np.inf, gap), axis=1)
    return ops.relu(1.0 - nearest) + 0.01 * ops.sum(ops.square(z), axis=-1)


model = keras.Sequential(
    [keras.Input((5,), batch_size=N), layers.Dense(8, activation="tanh"), layers.Dense(2)]
)
model.compile(optimizer="adam", loss=apart)
model.fit(x, x[:, :1], batch_size=N, epochs=2, shuffle=False, verbose=0)
