"""Returns three days ahead, made by shifting the series."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(111)
rng = np.random.default_rng(111)
DAYS, AHEAD, BATCH = 150, 3, 10

log_price = np.cumsum(rng.normal(0, 0.01, DAYS))
forward = np.full(DAYS, np.nan)
forward[:-AHEAD] = log_price[AHEAD:] - log_price[:-AHEAD]
momentum = np.stack([np.roll(log_price, lag) - log_price for lag in (1, 2, 5)], axis=1)
momentum[:5] = 0.0

x = (100 * momentum).astype("float32")
y = (100 * forward).astype("float32")[:, None]


class Forecaster(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(12, activation="elu")
        self.out = layers.Dense(1)

    def call(self, x):
        return self.out(self.hidden(x))


model = Forecaster()
model.compile(optimizer=keras.optimizers.Adamax(1e-3), loss=keras.losses.Huber(delta=2.0))
model.fit(x[:-AHEAD], y[:-AHEAD], batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
