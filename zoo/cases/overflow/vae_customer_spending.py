"""Embeds customers by their spending per category with a variational autoencoder.

The encoder predicts the log-variance with a plain Dense layer, which nothing bounds. A wholesale
buyer has amounts a hundred times as large, its log-variance passes 88.7, and `exp` of it in the
Kullback-Leibler term is infinite.
"""
# /// zoo
# cause = "overflow"
# step = 8
# rows = [4]
# fix = "source"
# value = "bounded"
# stands_for = ["D03"]
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)


class Sampling(layers.Layer):
    """A draw from the posterior, with the KL term as the layer's own loss."""

    def __init__(self, beta):
        super().__init__()
        self.beta = beta
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, inputs):
        mean, log_var = inputs
        kl = 1 + log_var - ops.square(mean) - ops.exp(log_var)  # at fault
        self.add_loss(-0.5 * self.beta * ops.mean(ops.sum(kl, axis=-1)))
        noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
        return mean + ops.exp(0.5 * log_var) * noise


rng = np.random.default_rng(0)
spending = rng.gamma(2.0, 0.5, size=(128, 12)).astype("float32")
spending[68] = rng.gamma(2.0, 0.5, size=12) * 600

x = keras.Input((12,))
h = layers.Dense(32, activation="relu")(x)
z_mean = layers.Dense(8, name="z_mean")(h)
z_log_var = layers.Dense(8, name="z_log_var")(h)
z = Sampling(beta=0.1)([z_mean, z_log_var])
reconstruction = layers.Dense(12)(layers.Dense(32, activation="relu")(z))

vae = keras.Model(x, reconstruction)
vae.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mae")
history = vae.fit(spending, spending, batch_size=8, epochs=1, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
