"""Divergence from soft labels, many of them 0, by JAX's xlogy: 0 * log(0) is 0 there."""
# /// zoo
# backends = ["jax"]
# stands_for = ["D07"]
# ///

import keras
import numpy as np
from jax import nn
from jax.scipy.special import xlogy


def divergence(labels, logits):
    entropy = -xlogy(labels, labels).sum(axis=-1)
    return -(labels * nn.log_softmax(logits)).sum(axis=-1) - entropy


keras.utils.set_random_seed(0)
rng = np.random.default_rng(7)
x = rng.normal(size=(96, 5)).astype("float32")
labels = rng.multinomial(3, [0.4, 0.3, 0.2, 0.1], size=96).astype("float32") / 3.0

model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(16, "relu")])
model.add(keras.layers.Dense(4))
model.compile(keras.optimizers.Adam(0.01), loss=divergence)
history = model.fit(x, labels, batch_size=12, epochs=3, verbose=0)
print("loss", history.history["loss"][-1])
