"""The same prediction, with log(cosh(x)) as |x| + softplus(-2 |x|) - log(2)."""

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)


def log_cosh(y_true, y_pred):
    error = y_pred - y_true
    size = ops.abs(error)
    return ops.mean(size + ops.softplus(-2 * size) - np.log(2), axis=-1)


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
