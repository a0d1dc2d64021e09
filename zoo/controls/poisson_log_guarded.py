"""Poisson with zero counts, a log of a softplus and an epsilon that survives float32."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(59)
rng = np.random.default_rng(59)
x = rng.normal(size=(480, 4)).astype("float32")
y = rng.poisson(np.exp(0.5 * x[:, :1] - 1.0)).astype("float32")
x[5::48] = -60.0


class Counts(keras.losses.Loss):
    def call(self, y_true, raw):
        mu = ops.softplus(raw) + 1e-7
        saturated = y_true * ops.log(ops.where(y_true > 0, y_true, 1.0))
        return ops.mean(mu - y_true * ops.log(mu) + saturated - y_true, axis=-1)


model = keras.Sequential([keras.Input((4,)), layers.Dense(1, kernel_initializer="ones")])
model.compile(keras.optimizers.Adam(1e-2, clipnorm=1.0), Counts())
model.fit(x, y, batch_size=48, epochs=2, shuffle=False, verbose=0)
