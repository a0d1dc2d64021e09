"""Feeds a table with NaN for missing values; the first layer turns them into 0 and a flag.

The batch holds NaN, and nothing behind that layer does.
"""
# /// zoo
# stands_for = ["I01"]
# ///

import keras
import numpy as np
from keras import ops


class FlagMissing(keras.layers.Layer):
    """Each feature twice: its value or 0, and whether it was missing."""

    def call(self, table):
        missing = ops.isnan(table)
        values = ops.where(missing, ops.zeros_like(table), table)
        return ops.concatenate([values, ops.cast(missing, table.dtype)], axis=-1)

    def compute_output_shape(self, shape):
        return (*shape[:-1], 2 * shape[-1])


keras.utils.set_random_seed(0)
rng = np.random.default_rng(13)
table = rng.normal(size=(150, 5)).astype("float32")
risk = (table[:, 0] + table[:, 1] > 0).astype("float32")
table[rng.uniform(size=table.shape) < 0.15] = np.nan

model = keras.Sequential(
    [
        keras.Input((5,), name="table"),
        FlagMissing(),
        keras.layers.Dense(12, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
history = model.fit(table, risk, batch_size=10, epochs=2, verbose=0)
print("loss", history.history["loss"][-1])
