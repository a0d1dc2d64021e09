"""A left-to-right hidden Markov model in log space: forbidden transitions are -inf and stay
-inf.
"""

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(205)
rng = np.random.default_rng(205)
N, TIME, STATES = 60, 8, 3
level = np.sort(rng.integers(0, STATES, (N, TIME)), axis=1)
series = (2.0 * level + rng.normal(0, 0.4, (N, TIME))).astype("float32")
FORBIDDEN = np.where(np.triu(np.ones((STATES, STATES))) > 0, 0.0, -np.inf).astype("float32")
FIRST = np.array([0.0, -np.inf, -np.inf], "float32")


class ForwardAlgorithm(keras.layers.Layer):
    def build(self, shape):
        self.mean = self.add_weight(shape=(STATES,), initializer="zeros", name="mean")
        self.stay = self.add_weight(shape=(STATES, STATES), initializer="zeros", name="stay")

    def call(self, series):
        step = ops.log_softmax(ops.add(self.stay, FORBIDDEN), axis=-1)
        emit = -0.5 * ops.square(series[:, :, None] - self.mean)
        alpha = ops.add(FIRST, emit[:, 0])
        for t in range(1, TIME):
            alpha = ops.logsumexp(alpha[:, :, None] + step[None], axis=1) + emit[:, t]
        return ops.logsumexp(alpha, axis=-1, keepdims=True)


def negative(_, log_likelihood):
    return -log_likelihood


inputs = keras.Input((TIME,))
model = keras.Model(inputs, ForwardAlgorithm()(inputs))
model.compile(optimizer=keras.optimizers.Adam(0.05), loss=negative)
model.fit(series, np.zeros((N, 1)), batch_size=10, epochs=4, shuffle=False, verbose=2)
