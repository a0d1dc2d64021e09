"""A mixture density network forecasts wind; the loss is minus the log of the mixture density.

exp(-z^2 / 2) is 0 in float32 beyond 14 standard deviations. A gust far from all components has
density 0, and the logarithm is taken after the sum.
"""

# /// zoo
# cause = "log-of-zero"
# step = 10
# rows = [9]
# fix = "source"
# value = "exact"
# stands_for = ["D07"]
# ///
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
weight = layers.Dense(K, activation="softmax")(h)
centre = layers.Dense(K)(h)
width = layers.Dense(K, activation="softplus", bias_initializer="ones")(h)
mdn = keras.Model(x, layers.Concatenate()([weight, centre, width]))


def negative_log_density(y, parameters):
    weight, centre, width = ops.split(parameters, 3, axis=-1)
    width = width + 0.05
    z = (y - centre) / width
    density = weight * ops.exp(-0.5 * z**2) / (width * np.sqrt(2 * np.pi).astype("float32"))
    mixture = ops.sum(density, axis=-1)
    return -ops.log(mixture)  # at fault


mdn.compile(optimizer=keras.optimizers.Adam(2e-3), loss=negative_log_density)
mdn.fit(weather, wind, batch_size=12, epochs=2, shuffle=False, verbose=0)
print("negative log density:", mdn.evaluate(weather[:120], wind[:120], verbose=0))
