"""A learning rate that throws the loss up and down by orders of magnitude, and stays finite."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
x = rng.normal(size=(128, 4)).astype("float32")
x[::17] *= 300.0
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, "tanh"), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.1, momentum=0.9, clipnorm=5.0), loss="mse")
model.fit(x, x[:, 0], batch_size=16, epochs=3, verbose=0)
