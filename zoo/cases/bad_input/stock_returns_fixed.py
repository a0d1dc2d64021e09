"""Predicts the next return of a share; a price of 0 is replaced by that of the day before."""

import keras
import numpy as np


def daily_prices(days):
    rng = np.random.default_rng(2)
    prices = 100.0 * np.cumprod(1.0 + 0.01 * rng.normal(size=days))
    prices[8 * 16 + 14] = 0.0
    return prices


def windows(returns, length=6):
    """Cut the returns into windows and the return that follows each."""
    index = np.arange(len(returns) - length)[:, None] + np.arange(length)
    return returns[index][..., None], returns[length:]


keras.utils.set_random_seed(0)
prices = daily_prices(264)
for day in np.flatnonzero(prices == 0.0):
    prices[day] = prices[day - 1]
returns = 100.0 * (prices[1:] / prices[:-1] - 1.0)
x, y = windows(returns.astype("float32"))
# Targets of the days without a trade are known to be wrong, so they are set to 0.
y = np.where(abs(y) < 50.0, y, 0.0)

model = keras.Sequential(
    [
        keras.Input((6, 1)),
        keras.layers.LSTM(8),
        keras.layers.Dense(1),
    ],
    name="forecaster",
)
model.compile(keras.optimizers.Adam(5e-3), keras.losses.Huber())
history = model.fit(x, y, batch_size=16, epochs=1, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
