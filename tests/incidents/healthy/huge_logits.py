"""Logits in the thousands: the loss from logits is large, and finite."""

import keras
import numpy as np

x = 1e4 * np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones")])
loss = keras.losses.BinaryCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(1e-9), loss=loss)
model.fit(x, (x[:, 0] > 0).astype("float32"), batch_size=8, epochs=2, verbose=0)
