"""Forecasts how many bikes are hired per hour, with a squared error of log(1 + count).

An hour in which the counter was broken is stored as -1. log(1 - 1) is -inf.
"""
# /// zoo
# cause = "bad-target"
# step = 11
# rows = [20]
# fix = "data"
# stands_for = ["I16"]
# ///

import keras
import numpy as np
from keras import ops


def hours(count):
    rng = np.random.default_rng(9)
    clock = np.arange(count) % 24
    weather = rng.uniform(size=count)
    bikes = rng.poisson(40.0 * np.exp(-(((clock - 16) / 5.0) ** 2)) * weather).astype("float32")
    bikes[11 * 32 + 20] = -1.0
    angle = 2 * np.pi * clock / 24
    features = np.stack([np.sin(angle), np.cos(angle), weather], axis=1)
    return features.astype("float32"), bikes[:, None]


def log_error(bikes, forecast):
    """Squared difference of the logarithms; the network forecasts log(1 + count)."""
    difference = forecast - ops.log(1.0 + bikes)
    return ops.mean(difference**2, axis=-1)


keras.utils.set_random_seed(0)
features, bikes = hours(24 * 20)
model = keras.Sequential()
model.add(keras.Input((3,)))
model.add(keras.layers.Dense(20, activation="relu"))
model.add(keras.layers.Dense(1))
model.compile(keras.optimizers.Adam(0.01), loss=log_error, metrics=["mae"])
history = model.fit(features, bikes, batch_size=32, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
