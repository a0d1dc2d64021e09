"""Predicts several values of which some are not known; unknown ones are NaN in the targets.

The loss replaces them by 0 before it computes anything, and counts the others.
"""
# /// zoo
# stands_for = ["B10"]
# ///

import keras
import numpy as np
from keras import ops


class KnownOnly(keras.losses.Loss):
    """Mean squared error of the targets that are known."""

    def call(self, y_true, y_pred):
        known = ops.logical_not(ops.isnan(y_true))
        target = ops.where(known, y_true, 0.0)
        known = ops.cast(known, y_pred.dtype)
        errors = known * ops.square(target - y_pred)
        return ops.sum(errors, axis=-1) / ops.maximum(ops.sum(known, axis=-1), 1.0)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(18)
x = rng.normal(size=(120, 5)).astype("float32")
y = np.tanh(x @ rng.normal(size=(5, 3))).astype("float32")
y[rng.uniform(size=y.shape) < 0.4] = np.nan
y[[7, 64]] = np.nan

model = keras.Sequential(
    [keras.Input((5,)), keras.layers.Dense(16, "swish"), keras.layers.Dense(3)]
)
model.compile(keras.optimizers.Adam(0.01), loss=KnownOnly())
history = model.fit(x, y, batch_size=12, epochs=4, verbose=0)
print("loss", history.history["loss"][-1])
