"""Predicts prices of houses, around 300,000, without scaling them.

The loss is near 1e11 and falls slowly, because Adam moves each weight by its learning rate
whatever the size of the gradient. It is a poor choice of units, and no divergence.
"""
# /// zoo
# stands_for = ["J08"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(4)
houses = rng.normal(size=(240, 5)).astype("float32")
price = (300_000 + 40_000 * houses[:, 0] + rng.normal(0, 9_000, size=240)).astype("float32")

model = keras.Sequential(
    [
        keras.Input((5,)),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(1),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(1.0), loss="mse")
history = model.fit(houses, price, batch_size=16, epochs=4, shuffle=False, verbose=0)
print("loss", history.history["loss"])
