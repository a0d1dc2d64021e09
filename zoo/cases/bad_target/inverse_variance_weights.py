"""Fits a calibration curve in which a precise measurement counts more: weight 1 / sigma squared.

The error of one measurement was entered as 0, so its weight is infinite, and so is the loss.
"""
# /// zoo
# cause = "bad-target"
# step = 5
# rows = [11]
# fix = "data"
# stands_for = ["I02"]
# ///

import keras
import numpy as np


def measurements(count):
    rng = np.random.default_rng(14)
    voltage = rng.uniform(-1.0, 1.0, count)
    sigma = rng.uniform(0.05, 0.3, count)
    level = np.sin(2.0 * voltage) + sigma * rng.normal(size=count)
    sigma[5 * 12 + 11] = 0.0
    return voltage, level, sigma


def weights_of(sigma):
    with np.errstate(divide="ignore"):
        weights = 1.0 / sigma**2
    return weights / np.median(weights)


keras.utils.set_random_seed(0)
voltage, level, sigma = measurements(120)
inputs = keras.Input((1,), name="voltage")
basis = keras.layers.Dense(16, activation="tanh")(inputs)
curve = keras.layers.Dense(1, name="level")(basis)
model = keras.Model(inputs, curve)
model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mse")
history = model.fit(
    voltage[:, None].astype("float32"),
    level[:, None].astype("float32"),
    sample_weight=weights_of(sigma).astype("float32"),
    batch_size=12,
    epochs=2,
    shuffle=False,
    verbose=0,
)
print("loss", history.history["loss"][-1])
