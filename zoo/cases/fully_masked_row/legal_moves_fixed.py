"""The same player; the fill is a large negative number, so that a mate gives equal weights."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
MOVES = 20


@keras.saving.register_keras_serializable()
def masked_softmax(inputs):
    logits, legal = inputs
    logits = ops.where(legal, logits, -1e9 * ops.ones_like(logits))
    highest = ops.max(logits, axis=-1, keepdims=True)
    e = ops.exp(logits - highest)
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
