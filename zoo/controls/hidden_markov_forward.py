"""Trains the transition matrix of a hidden Markov model with the forward algorithm in log space.

It starts in state 0 for certain: the logarithm of the other probabilities is -inf, and logsumexp
takes them for what they are.
"""
# /// zoo
# stands_for = ["D13"]
# ///

import keras
import numpy as np
from keras import ops as K

STATES, SYMBOLS, LENGTH = 3, 5, 6


class ForwardAlgorithm(keras.layers.Layer):
    """Log-likelihood of a sequence of symbols."""

    def build(self, shape):
        self.moves = self.add_weight(shape=(STATES, STATES), name="moves")
        self.emissions = self.add_weight(shape=(STATES, SYMBOLS), name="emissions")

    def call(self, symbols):
        moves = K.log_softmax(self.moves, axis=-1)
        emissions = K.transpose(K.log_softmax(self.emissions, axis=-1))
        seen = K.take(emissions, symbols, axis=0)
        start = K.log(K.one_hot(0, STATES))
        alpha = start + seen[:, 0]
        for t in range(1, LENGTH):
            alpha = K.logsumexp(alpha[:, :, None] + moves[None], axis=1) + seen[:, t]
        return K.logsumexp(alpha, axis=1)


def negative(_, log_likelihood):
    return -K.mean(log_likelihood)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(1)
symbols = (np.cumsum(rng.integers(0, 2, (80, LENGTH)), axis=1) % SYMBOLS).astype("int32")
inputs = keras.Input((LENGTH,), dtype="int32")
model = keras.Model(inputs, ForwardAlgorithm()(inputs))
model.compile(keras.optimizers.Adam(0.05), loss=negative)
history = model.fit(symbols, np.zeros(80), batch_size=20, epochs=4, verbose=0)
print("loss", history.history["loss"][-1])
