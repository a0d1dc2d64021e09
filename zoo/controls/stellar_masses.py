"""Masses of stars in kilograms: losses of 1e13 that fall, and never leave float32."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(207)
rng = np.random.default_rng(207)
SUN = 1.989e6  # in 10^24 kg
x = rng.uniform(0.5, 2, (240, 2)).astype("float32")
mass = (SUN * x[:, 0] ** 3.5).astype("float32")[:, None]

model = keras.Sequential(
    [
        keras.Input((2,)),
        layers.Dense(16, activation="tanh"),
        layers.Dense(1),
        layers.Rescaling(SUN),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mse")
history = model.fit(x, mass, batch_size=24, epochs=4, shuffle=False, verbose=2)
print(history.history["loss"])
