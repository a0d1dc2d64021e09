"""Chooses among the legal moves of a game: illegal ones get -1e9 added to their score.

A position without a legal move has a row of -1e9 throughout; its softmax is uniform, its weight 0.
"""
# /// zoo
# stands_for = ["Z01"]
# ///

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(12)
board = rng.normal(size=(100, 9)).astype("float32")
legal = (board < 0.6).astype("float32")
legal[[13, 58]] = 0.0
best = np.argmax(np.where(legal > 0, board, -9.0), axis=1)
weights = (legal.sum(axis=1) > 0).astype("float32")

position = keras.Input((9,), name="board")
allowed = keras.Input((9,), name="legal")
hidden = keras.layers.Dense(24, activation="relu")(position)
scores = keras.layers.Dense(9)(hidden)
moves = keras.layers.Softmax()(scores + (1.0 - allowed) * -1e9)
model = keras.Model([position, allowed], moves)


def log_likelihood(move, probabilities):
    chosen = ops.one_hot(ops.cast(ops.reshape(move, (-1,)), "int32"), 9)
    return -ops.log(ops.sum(chosen * probabilities, axis=-1) + 1e-7)


model.compile("adam", loss=log_likelihood)
history = model.fit([board, legal], best, sample_weight=weights, batch_size=20, verbose=0)
print("loss", history.history["loss"][-1])
