"""Targets of 1e13 that nobody scaled: a loss of 1e26, which float32 holds."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(6)
rng = np.random.default_rng(6)
x = rng.normal(size=(160, 4)).astype("float32")
y = (1e13 * (2 + x[:, :1])).astype("float32")
model = keras.Sequential([keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
