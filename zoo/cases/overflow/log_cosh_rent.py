"""Predicts rents with a log-cosh loss, which forgives outliers as the absolute error does.

`log(cosh(error))` is written down as it is called. For an error above 89 `cosh` is infinite in
float32; the rents are in euros and one flat is far off.
"""
# /// zoo
# cause = "overflow"
# step = 13
# rows = [0]
# fix = "source"
# value = "exact"
# stands_for = ["D10"]
# ///

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)


def log_cosh(y_true, y_pred):
    error = y_pred - y_true
    return ops.mean(ops.log(ops.cosh(error)), axis=-1)  # at fault


rng = np.random.default_rng(11)
size = rng.uniform(20, 60, size=240)
floor = rng.integers(0, 6, size=240)
rent = 0.6 * size + 1.5 * floor + rng.normal(0, 3, size=240)
rent[208] = 310.0  # a penthouse
flats = np.stack([size / 10, floor], axis=1).astype("float32")

model = keras.Sequential([keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(0.02), loss=log_cosh)
history = model.fit(
    flats, rent[:, None].astype("float32"), batch_size=16, epochs=1, shuffle=False, verbose=0
)
print("log-cosh", history.history["loss"][-1])
