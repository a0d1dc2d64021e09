"""Trains a network, then freezes its normalisation for some careful epochs at a low rate.

A momentum above 1 pushes the moving variance below 0. Nobody sees it while training uses the
statistics of the batch; frozen, the layer takes the square root of the moving variance.
"""
# /// zoo
# cause = "bad-statistics"
# step = 10
# fix = "setting"
# stands_for = ["G02", "L10"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(15)
signals = 4.0 * rng.normal(size=(160, 12)).astype("float32")
power = (signals**2).mean(axis=1, keepdims=True) / 16.0

model = keras.Sequential(
    [
        keras.Input((12,)),
        keras.layers.BatchNormalization(momentum=1.01, name="scale"),  # at fault
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(1, name="power"),
    ]
)
model.compile(keras.optimizers.Adam(0.01), "mse")
model.fit(signals, power, batch_size=16, epochs=1, shuffle=False, verbose=0)

model.get_layer("scale").trainable = False
model.compile(keras.optimizers.SGD(1e-4), "mse")
history = model.fit(signals, power, batch_size=16, epochs=3, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
