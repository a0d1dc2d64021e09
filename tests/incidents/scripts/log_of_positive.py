"""`where` is meant to protect the logarithm; its gradient is not protected."""

import keras
import numpy as np
from keras import ops


class LogReturn(keras.losses.Loss):
    def call(self, y_true, price):
        log_price = ops.where(price > 0, ops.log(price), 0.0)  # <- here
        return ops.mean(ops.square(y_true - log_price), axis=-1)


keras.utils.set_random_seed(10)
x = np.random.default_rng(10).uniform(1, 2, size=(56, 3)).astype("float32")
x[20] = 0.0
model = keras.Sequential(
    [keras.Input((3,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")]
)
model.compile(keras.optimizers.SGD(1e-3), loss=LogReturn())
model.fit(x, np.ones((56, 1)), batch_size=14, shuffle=False, verbose=0)
