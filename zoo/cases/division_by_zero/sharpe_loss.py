"""Positions learned by maximising each window's Sharpe ratio."""

# /// zoo
# cause = "division-by-zero"
# step = 13
# rows = [9]
# fix = "source"
# value = "undefined"
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(3)
rng = np.random.default_rng(3)
WINDOWS, DAYS, BATCH = 320, 20, 16
signal = rng.normal(size=(WINDOWS, DAYS, 4)).astype("float32")
returns = (0.01 * (0.3 * signal[..., 0] + rng.normal(size=(WINDOWS, DAYS)))).astype("float32")
returns[13 * BATCH + 9] = 0.0  # trading was suspended


def sharpe(pnl):
    mean = ops.mean(pnl, axis=-1)
    risk = ops.std(pnl, axis=-1)
    return mean / risk  # at fault


def neg_sharpe(y_true, position):
    pnl = position * y_true
    return -sharpe(pnl) * (252.0**0.5)


model = keras.Sequential(
    [
        keras.Input((DAYS, 4)),
        layers.Conv1D(8, 3, padding="causal", activation="relu"),
        layers.Dense(1, activation="tanh"),
        layers.Reshape((DAYS,)),
    ]
)
model.compile(optimizer="adam", loss=neg_sharpe)
model.fit(signal, returns, epochs=1, batch_size=BATCH, shuffle=False, verbose=0)
