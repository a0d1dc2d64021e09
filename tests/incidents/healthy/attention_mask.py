"""Scores of masked positions are -inf before the softmax, and never leave it."""

import keras
import numpy as np
from keras import layers, ops


class Attend(layers.Layer):
    def call(self, x):
        scores = ops.matmul(x, ops.transpose(x, (0, 2, 1)))
        length = x.shape[1]
        later = np.triu(np.ones((length, length), bool), k=1)
        return ops.matmul(ops.softmax(ops.where(later, -np.inf, scores)), x)


x = np.random.default_rng(0).normal(size=(32, 5, 3)).astype("float32")
inputs = keras.Input((5, 3))
outputs = layers.Dense(1)(layers.Flatten()(Attend()(layers.Dense(3)(inputs))))
model = keras.Model(inputs, outputs)
model.compile("adam", loss="mse")
model.fit(x, x[:, 0, 0], batch_size=8, epochs=2, verbose=0)
