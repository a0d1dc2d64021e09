"""Pulls the topic mixtures of documents towards a reference with a Kullback-Leibler loss.

The floor under the probabilities is the smallest positive float64, 2.2e-308. Converted to
float32 it is 0, so it keeps no probability above 0, and log(0) follows.
"""
# /// zoo
# cause = "epsilon-underflow"
# step = 13
# rows = [7]
# fix = "source"
# value = "exact"
# stands_for = ["D07"]
# ///

import sys

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
SMALLEST = sys.float_info.min


class TopicDivergence(keras.losses.Loss):
    def call(self, reference, mixture):
        floored = ops.maximum(mixture, SMALLEST)
        log_ratio = ops.log(reference) - ops.log(floored)  # at fault
        return ops.sum(reference * log_ratio, axis=-1)


rng = np.random.default_rng(6)
documents = rng.poisson(2.0, size=(160, 30)).astype("float32")
reference = rng.dirichlet(np.full(5, 2.0), size=160).astype("float32")
documents[111] *= 900  # a whole encyclopedia

model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(5, activation="softmax")])
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=TopicDivergence())
history = model.fit(documents, reference, batch_size=8, epochs=1, shuffle=False, verbose=0)
print("divergence", history.history["loss"][-1])
