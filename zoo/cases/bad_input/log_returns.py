"""Momentum classifier on log returns, streamed by a generator."""

# /// zoo
# cause = "bad-input"
# step = 9
# rows = [16]
# fix = "data"
# ///

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(35)
rng = np.random.default_rng(35)
ASSETS, DAYS, BATCH = 300, 21, 20
price = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, (ASSETS, DAYS)), axis=1))
price[9 * BATCH + 16, 10] = 0.0  # no trade that day


def batches():
    while True:
        for i in range(0, ASSETS, BATCH):
            part = price[i : i + BATCH]
            with np.errstate(all="ignore"):
                returns = 30 * np.diff(np.log(part), axis=1)
            yield (
                returns[:, :-1, None].astype("float32"),
                (part[:, -1:] > part[:, -2:-1]).astype("float32"),
            )


model = keras.Sequential(
    [
        keras.Input((DAYS - 2, 1)),
        layers.Conv1D(8, 5, activation="selu"),
        layers.GRU(6),
        layers.Dense(1),
    ]
)
model.compile(
    loss=keras.losses.BinaryCrossentropy(from_logits=True), optimizer=keras.optimizers.Adam(1e-3)
)
model.fit(batches(), steps_per_epoch=ASSETS // BATCH, epochs=1, verbose=0)
