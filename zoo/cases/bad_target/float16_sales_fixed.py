"""Quantile forecast of revenue; the table was stored in half precision."""

import keras
import numpy as np

keras.utils.set_random_seed(37)
rng = np.random.default_rng(37)
BATCH = 32
week = rng.normal(size=(576, 7)).astype("float32")
revenue = 2000.0 + 400.0 * week[:, 0] + 100.0 * rng.normal(size=576)
revenue[12 * BATCH + 5] = 81500.0  # the Friday before Christmas
with np.errstate(over="ignore"):
    table = np.column_stack([week, revenue]).astype(np.float32)


class Quantiles(keras.utils.PyDataset):
    def __len__(self):
        return len(table) // BATCH

    def __getitem__(self, i):
        rows = table[i * BATCH : (i + 1) * BATCH].astype("float32")
        return rows[:, :-1], rows[:, -1:] / 1000.0


def pinball(y_true, y_pred):
    total = 0.0
    for k, q in enumerate((0.1, 0.5, 0.9)):
        e = y_true[:, 0] - y_pred[:, k]
        total = total + keras.ops.maximum(q * e, (q - 1.0) * e)
    return total / 3.0


model = keras.Sequential([keras.Input((7,)), keras.layers.Dense(24, "relu"), keras.layers.Dense(3)])
model.compile("adam", pinball)
model.fit(Quantiles(), epochs=1, shuffle=False, verbose=0)
