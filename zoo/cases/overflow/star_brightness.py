"""Calibrates the apparent brightness of stars from luminosity and distance, in SI units.

The inverse-square law needs the square of the distance. Beyond 168 parsec, 5.2e18 metres, the
area of the sphere is above the largest float32, 3.4e38, although the distance is far below it.
"""
# /// zoo
# cause = "overflow"
# step = 12
# rows = [2]
# fix = "source"
# value = "exact"
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
PARSEC = 3.0857e16


def log_flux(inputs):
    log_luminosity, distance = inputs
    sphere = 4 * np.pi * distance**2  # at fault
    return log_luminosity - ops.log10(sphere)


rng = np.random.default_rng(6)
parsecs = rng.uniform(2, 120, size=(128, 1))
parsecs[98] = 260.0
log_luminosity = 26 + rng.normal(0, 1, size=(128, 1))
magnitude = -2.5 * (log_luminosity - np.log10(4 * np.pi) - 2 * np.log10(parsecs * PARSEC)) - 20

luminosity_in = keras.Input((1,), name="log_luminosity")
distance_in = keras.Input((1,), name="distance")
flux = layers.Lambda(log_flux)([luminosity_in, distance_in])
model = keras.Model([luminosity_in, distance_in], layers.Dense(1)(flux))
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mean_absolute_error")
stars = {
    "log_luminosity": log_luminosity.astype("float32"),
    "distance": (parsecs * PARSEC).astype("float32"),
}
run = model.fit(stars, magnitude.astype("float32"), batch_size=8, shuffle=False, verbose=0)
print("error in magnitudes", run.history["loss"][-1])
