"""Sales forecasting on the log scale."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(110)
rng = np.random.default_rng(110)
DAYS, WINDOW, BATCH = 364, 7, 14

weekday = np.arange(DAYS) % 7
sold = rng.poisson(30 + 8 * weekday)
sold[WINDOW + 11 * BATCH + 6] = 0  # bank holiday
log_sold = np.log1p(sold)
past = np.stack([sold[day - WINDOW : day] / 100 for day in range(WINDOW, DAYS)])
past = past.astype("float32")[..., None]
future = log_sold[WINDOW:].astype("float32")[:, None]

model = keras.Sequential(
    [
        keras.Input((WINDOW, 1)),
        layers.Conv1D(8, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(1, bias_initializer=keras.initializers.Constant(3.0)),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="mean_absolute_error")
model.fit(past, future, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
