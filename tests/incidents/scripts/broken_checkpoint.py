"""Weights are loaded from a file that an earlier training had left with NaN in it."""

import keras
import numpy as np


def build():
    layers = [keras.Input((4,)), keras.layers.Dense(6, "relu", name="hidden")]
    return keras.Sequential([*layers, keras.layers.Dense(1, name="head")])


earlier = build()
kernel, bias = earlier.get_layer("head").get_weights()
kernel[2] = np.nan
earlier.get_layer("head").set_weights([kernel, bias])
earlier.save_weights("earlier.weights.h5")

model = build()
model.load_weights("earlier.weights.h5")
x = np.random.default_rng(14).normal(size=(32, 4)).astype("float32")
model.compile("adam", loss="mse")
model.fit(x, x[:, 0], batch_size=8, verbose=0)
