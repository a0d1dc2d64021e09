"""Tanh of huge pre-activations and a sigmoid that is exactly 1: ugly, but finite."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(51)
rng = np.random.default_rng(51)
x = rng.normal(size=(320, 6)).astype("float32")
y = (x[:, :1] > 0).astype("float32")
x[::40] *= 1e6
model = keras.Sequential(
    [
        keras.Input((6,)),
        layers.Dense(16, activation="tanh"),
        layers.Dense(1, activation="sigmoid", kernel_initializer="ones"),
    ]
)
model.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy")
model.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0)
