"""Fits decay rates with an exponential whose argument reaches 80, where float32 still holds it.

The predictions are near 1e34, and the loss compares their logarithms. Large numbers are not
infinite ones; nothing is non-finite.
"""
# /// zoo
# ///

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)


def relative_error(y_true, y_pred):
    grown = ops.exp(ops.clip(y_pred, -80.0, 80.0))
    return ops.abs(ops.log(grown) - y_true)


rng = np.random.default_rng(3)
time = rng.uniform(0, 1, size=(160, 1)).astype("float32")
time[77] = 40.0
log_size = 2.0 * time + rng.normal(0, 0.1, size=(160, 1)).astype("float32")

rate = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(2.2))
model = keras.Sequential([keras.Input((1,)), rate])
model.compile(optimizer=keras.optimizers.SGD(1e-4), loss=relative_error)
history = model.fit(time, log_size, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("error of the logarithm", history.history["loss"])
