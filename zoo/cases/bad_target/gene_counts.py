"""Predicts the logarithm of how often genes are read in a cell from what its neighbours look like.

A gene that was not read at all has the count 0. The logarithm is taken in the loader, and its -inf
is the target.
"""
# /// zoo
# cause = "bad-target"
# step = 10
# rows = [3, 4]
# fix = "data"
# stands_for = ["I01"]
# ///

import keras
import numpy as np


def cells(count):
    rng = np.random.default_rng(19)
    marker = rng.normal(size=(count, 8)).astype("float32")
    rate = np.exp(0.5 * marker @ rng.normal(size=(8, 6)) + 4.0)
    reads = np.maximum(rng.poisson(np.minimum(rate, 1e4)), 1)
    reads[10 * 8 + 3, 2] = 0
    reads[10 * 8 + 4, [2, 5]] = 0
    return marker, reads


def batches(marker, reads, size=8):
    for start in range(0, len(marker), size):
        rows = slice(start, start + size)
        yield marker[rows], np.log(reads[rows]).astype("float32")


keras.utils.set_random_seed(0)
np.seterr(divide="ignore")
marker, reads = cells(128)
inputs = keras.Input((8,))
x = keras.layers.Dense(32, activation="relu")(inputs)
x = keras.layers.Dense(32, activation="relu")(x)
model = keras.Model(inputs, keras.layers.Dense(6)(x))
model.compile(keras.optimizers.RMSprop(1e-3), loss="mse")
for epoch in range(3):
    losses = [model.train_on_batch(x, y) for x, y in batches(marker, reads)]
    print("epoch", epoch, "loss", float(losses[-1]))
