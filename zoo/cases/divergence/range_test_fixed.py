"""A learning rate range test that ends at the useful rates."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(65)
rng = np.random.default_rng(65)

x = rng.normal(size=(480, 6)).astype("float32")
y = (x @ rng.normal(size=(6, 1)) + 0.1 * rng.normal(size=(480, 1))).astype("float32")


class HalfSquare(keras.losses.Loss):
    def call(self, y_true, y_pred):
        residual = y_pred - y_true
        return 0.5 * ops.sum(residual * residual, axis=-1)


sweep = keras.optimizers.schedules.ExponentialDecay(1e-4, decay_steps=1, decay_rate=1.05)
model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(sweep), loss=HalfSquare())
model.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)
