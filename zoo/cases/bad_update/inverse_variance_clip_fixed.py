"""A chi-square fit to fluxes with inverse-variance weights."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(143)
rng = np.random.default_rng(143)
STARS, BATCH = 132, 11

colour = rng.uniform(-1, 1, (STARS, 2)).astype("float32")
sigma = rng.uniform(0.5, 1.5, STARS)
flux = 1 + 2 * colour[:, 0] + rng.normal(0, 0.1, STARS)
sigma[6 * BATCH + 5] = 1e-12
observed = np.stack([flux, 1 / sigma**2], axis=1).astype("float32")


def chi_square(y_true, y_pred):
    flux, weight = y_true[:, 0], y_true[:, 1]
    return weight * ops.square(flux - y_pred[:, 0])


model = keras.Sequential([keras.Input((2,)), layers.Dense(1, kernel_initializer="ones")])
optimizer = keras.optimizers.SGD(0.05, clipvalue=1.0)
model.compile(optimizer=optimizer, loss=chi_square)
model.fit(colour, observed, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
