"""The same divergence on logits; the floor is one under the logarithm."""

import sys

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
LOWEST = float(np.log(sys.float_info.min))


class TopicDivergence(keras.losses.Loss):
    def call(self, reference, logits):
        log_mixture = ops.maximum(ops.log_softmax(logits, axis=-1), LOWEST)
        log_ratio = ops.log(reference) - log_mixture
        return ops.sum(reference * log_ratio, axis=-1)


rng = np.random.default_rng(6)
documents = rng.poisson(2.0, size=(160, 30)).astype("float32")
reference = rng.dirichlet(np.full(5, 2.0), size=160).astype("float32")
documents[111] *= 900  # a whole encyclopedia

model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(5)])
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=TopicDivergence())
history = model.fit(documents, reference, batch_size=8, epochs=1, shuffle=False, verbose=0)
print("divergence", history.history["loss"][-1])
