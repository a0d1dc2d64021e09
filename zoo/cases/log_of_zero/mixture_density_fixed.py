"""The network of `mixture_density.py` with logsumexp over the log densities."""

import keras
import numpy as np
from keras import layers, ops

K = 3
keras.utils.set_random_seed(0)
rng = np.random.default_rng(27)
weather = rng.normal(size=(192, 5)).astype("float32")
wind = np.tanh(weather[:, 0]) + 0.3 * rng.normal(size=192)
wind[129] = 60.0  # a gust, and a true one
wind = wind.astype("float32")[:, None]

x = keras.Input((5,))
h = layers.Dense(16, activation="tanh")(x)
weight = layers.Dense(K)(h)
centre = layers.Dense(K)(h)
width = layers.Dense(K, activation="softplus", bias_initializer="ones")(h)
mdn = keras.Model(x, layers.Concatenate()([weight, centre, width]))


def negative_log_density(y, parameters):
    weight, centre, width = ops.split(parameters, 3, axis=-1)
    width = width + 0.05
    z = (y - centre) / width
    log_weight = ops.log_softmax(weight, axis=-1)
    log_density = log_weight - 0.5 * z**2 - ops.log(width) - 0.5 * np.log(2 * np.pi)
    return -ops.logsumexp(log_density, axis=-1)


mdn.compile(optimizer=keras.optimizers.Adam(2e-3), loss=negative_log_density)
mdn.fit(weather, wind, batch_size=12, epochs=2, shuffle=False, verbose=0)
print("negative log density:", mdn.evaluate(weather[:120], wind[:120], verbose=0))
