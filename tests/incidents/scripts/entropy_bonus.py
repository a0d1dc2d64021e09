"""A gate with an entropy penalty by `add_loss`; one sample is so large that the gate saturates."""

import keras
import numpy as np
from keras import layers, ops


class Gate(layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.score = layers.Dense(units, activation="softmax")

    def call(self, x):
        weights = self.score(x)
        entropy = -ops.sum(weights * ops.log(weights), axis=-1)  # <- here
        self.add_loss(0.01 * ops.mean(entropy))
        return weights


keras.utils.set_random_seed(5)
x = np.random.default_rng(5).normal(size=(72, 6)).astype("float32")
x[50] *= 500.0
inputs = keras.Input((6,))
model = keras.Model(inputs, layers.Dense(1)(Gate(4)(inputs)))
model.compile(keras.optimizers.SGD(1e-3), loss="mse")
model.fit(x, x[:, 0].clip(-1, 1), batch_size=9, shuffle=False, verbose=0)
