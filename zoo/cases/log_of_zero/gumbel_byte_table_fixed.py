"""Gumbel-softmax with the uniform draws taken from a table of bytes."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(17)
rng = np.random.default_rng(17)
CODES = 4
TAU = 0.7

signal = rng.normal(size=(192, 6)).astype("float32")
table = rng.integers(1, 256, (192, CODES))
uniform = np.minimum(table / 255.0, 1.0 - 1e-6).astype("float32")


def gumbel(u):
    return -ops.log(-ops.log(u))


x = keras.Input((6,))
u = keras.Input((CODES,))
logits = layers.Dense(CODES)(layers.Dense(16, activation="relu")(x))
code = ops.softmax((logits + gumbel(u)) / TAU, axis=-1)
back = layers.Dense(6)(code)
model = keras.Model([x, u], back)
model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="mse", steps_per_execution=1)
model.fit([signal, uniform], signal, batch_size=8, epochs=1, shuffle=False, verbose=0)
