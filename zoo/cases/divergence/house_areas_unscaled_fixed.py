"""The same rents; area and rooms are standardised first."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
area = rng.uniform(30, 150, size=(200, 1))
rooms = np.round(area / 28)
rent = 500 + 13 * area + 60 * rooms + rng.normal(0, 30, size=(200, 1))
flats = np.hstack([area, rooms])
flats = ((flats - flats.mean(axis=0)) / flats.std(axis=0)).astype("float32")

model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="zeros")])
model.compile(optimizer="sgd", loss="mse")
history = model.fit(
    flats, rent.astype("float32"), batch_size=20, epochs=6, shuffle=False, verbose=0
)
print("mean squared error", history.history["loss"])
