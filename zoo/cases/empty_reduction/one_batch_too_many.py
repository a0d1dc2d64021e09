"""Forecasts electricity use from a data set class that announces one batch too many.

`len // batch + 1` is right only where something is left over. 96 days in batches of 12 leave
nothing, and the ninth batch is empty: its loss is a mean over no rows.
"""
# /// zoo
# cause = "empty-reduction"
# step = 8
# fix = "data"
# stands_for = ["E05"]
# ///

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
BATCH = 12


def squared_error(use, forecast):
    return ops.mean(ops.square(forecast - use))  # at fault


class Days(keras.utils.PyDataset):
    def __init__(self, weather, use):
        super().__init__()
        self.weather = weather
        self.use = use

    def __len__(self):
        return len(self.use) // BATCH + 1

    def __getitem__(self, index):
        rows = slice(index * BATCH, (index + 1) * BATCH)
        return self.weather[rows], self.use[rows]


rng = np.random.default_rng(9)
weather = rng.normal(size=(96, 4)).astype("float32")
use = weather @ np.array([[-1.0], [0.2], [0.0], [0.4]]) + 3 + rng.normal(0, 0.1, size=(96, 1))

model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(0.05), loss=squared_error)
history = model.fit(Days(weather, use.astype("float32")), epochs=3, shuffle=False, verbose=0)
print("mean squared error", history.history["loss"])
