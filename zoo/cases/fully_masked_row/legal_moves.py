"""Imitates a chess player; illegal moves are masked before a softmax written by hand.

The hand-written softmax subtracts the maximum of the row first. In a position that is already
mate there is no legal move, the maximum is -inf, and -inf - (-inf) is NaN.
"""
# /// zoo
# cause = "fully-masked-row"
# step = 7
# rows = [9]
# fix = "source"
# value = "undefined"
# stands_for = ["F01"]
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
MOVES = 20


@keras.saving.register_keras_serializable()
def masked_softmax(inputs):
    logits, legal = inputs
    logits = ops.where(legal, logits, -ops.ones_like(logits) * float("inf"))
    highest = ops.max(logits, axis=-1, keepdims=True)
    e = ops.exp(logits - highest)  # at fault
    return e / ops.sum(e, axis=-1, keepdims=True)


rng = np.random.default_rng(3)
positions = rng.normal(size=(192, 16)).astype("float32")
legal = rng.uniform(size=(192, MOVES)) < 0.4
played = rng.integers(MOVES, size=192)
legal[np.arange(192), played] = True
legal[121] = False

board, rules = keras.Input((16,)), keras.Input((MOVES,), dtype="bool")
logits = layers.Dense(MOVES)(layers.Dense(24, activation="relu")(board))
move = layers.Lambda(masked_softmax, output_shape=(MOVES,))([logits, rules])
player = keras.Model([board, rules], move)
player.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss="sparse_categorical_crossentropy",
)
history = player.fit([positions, legal], played, batch_size=16, shuffle=False, verbose=0)
print("cross entropy", history.history["loss"])
