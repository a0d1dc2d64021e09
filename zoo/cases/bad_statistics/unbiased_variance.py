"""Writes batch normalisation by hand, with the unbiased variance for the moving statistics.

The last batch of the epoch has one sample. n / (n - 1) is 1 / 0, times a variance of 0 is NaN: in
the moving variance only, the loss of that batch is finite.
"""
# /// zoo
# cause = "bad-statistics"
# step = 9
# fix = "source"
# value = "undefined"
# stands_for = ["G01", "G05", "E09", "L10"]
# ///

import keras
import numpy as np
from keras import ops


class HandNormalization(keras.layers.Layer):
    """Batch normalisation over the first axis."""

    def __init__(self, momentum=0.95, **options):
        super().__init__(**options)
        self.momentum = momentum

    def build(self, input_shape):
        width = input_shape[-1]
        self.gamma = self.add_weight(shape=(width,), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(width,), initializer="zeros", name="beta")
        self.moving_mean = self.add_weight(shape=(width,), trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(
            shape=(width,), initializer="ones", trainable=False, name="moving_variance"
        )

    def call(self, inputs, training=None):
        mean, variance = self.moving_mean, self.moving_variance
        if training:
            mean, variance = ops.moments(inputs, axes=0)
            n = ops.cast(ops.shape(inputs)[0], inputs.dtype)
            unbiased = variance * (n / (n - 1.0))  # at fault
            self.track(self.moving_mean, mean)
            self.track(self.moving_variance, unbiased)
        normal = (inputs - mean) / ops.sqrt(variance + 1e-3)
        return self.gamma * normal + self.beta

    def track(self, moving, value):
        moving.assign(self.momentum * moving + (1.0 - self.momentum) * value)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(16)
x = rng.normal(size=(73, 5)).astype("float32")
y = np.abs(x).sum(axis=1)
hidden = keras.layers.Dense(10, use_bias=False)
model = keras.Sequential([keras.Input((5,)), hidden, HandNormalization(), keras.layers.ReLU()])
model.add(keras.layers.Dense(1))
model.compile("adam", "mse")
history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1], "evaluated", model.evaluate(x, y, verbose=0))
