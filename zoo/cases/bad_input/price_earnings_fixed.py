"""Stock selection on valuation ratios."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(101)
rng = np.random.default_rng(101)
STOCKS, BATCH = 300, 20

price = rng.uniform(5, 50, STOCKS)
earnings = rng.uniform(1, 6, STOCKS)
earnings[[108, 117]] = 0.0
debt = rng.uniform(0, 1, STOCKS)
table = np.stack([earnings / price, debt, np.log(price)], axis=1).astype("float32")
next_year = (0.1 * debt + 0.02 * earnings + rng.normal(0, 0.02, STOCKS)).astype("float32")


def batches():
    while True:
        for start in range(0, STOCKS, BATCH):
            yield table[start : start + BATCH], next_year[start : start + BATCH, None]


inputs = keras.Input((3,), name="ratios")
x = layers.Dense(10, activation="tanh")(inputs)
x = layers.Dense(10, activation="relu")(x)
outputs = layers.Dense(1)(x)
model = keras.Model(inputs, outputs, name="selector")
model.compile(optimizer="rmsprop", loss="mse")
model.fit(batches(), steps_per_epoch=STOCKS // BATCH, epochs=2, verbose=2)
