"""A robust loss with a square root in it, sqrt(1 + e^2) - 1.

Its argument is 1 at an error of exactly 0, which the zero rows with a zero target have.
"""

import keras
import numpy as np
from keras import ops

DELTA = 0.7


def pseudo_huber(y_true, y_pred):
    error = (y_true - y_pred) / DELTA
    return DELTA**2 * ops.mean(ops.sqrt(1.0 + error * error) - 1.0, axis=-1)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(4)
x = rng.normal(size=(100, 4)).astype("float32")
x[::10] = 0.0
y = x @ np.array([[1.0], [-2.0], [0.5], [0.0]], dtype="float32")
y[rng.integers(0, 100, 5)] += 50.0

inputs = keras.Input((4,))
hidden = keras.layers.Dense(6, activation="tanh", use_bias=False)(inputs)
model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(hidden))
model.compile(keras.optimizers.Adam(0.02), loss=pseudo_huber)
history = model.fit(x, y, batch_size=10, epochs=4, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
