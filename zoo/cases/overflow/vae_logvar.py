"""Variational autoencoder for sensor vectors; the KL term goes through add_loss."""

# /// zoo
# cause = "overflow"
# step = 6
# rows = [18]
# fix = "source"
# value = "bounded"
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(61)
rng = np.random.default_rng(61)
BATCH, LATENT = 32, 2
x = (rng.normal(size=(480, 3)) @ rng.normal(size=(3, 10))).astype("float32")
x[6 * BATCH + 18] *= -400.0  # saturated amplifier


class Sampling(layers.Layer):
    def __init__(self, beta=1e-3):
        super().__init__()
        self.beta = beta
        self.seed = keras.random.SeedGenerator(61)

    def call(self, mean, logvar):
        variance = ops.exp(logvar)  # at fault
        kl = 1.0 + logvar - mean**2 - variance
        self.add_loss(-0.5 * self.beta * ops.mean(ops.sum(kl, axis=-1)))
        noise = keras.random.normal(ops.shape(mean), seed=self.seed)
        return mean + noise * ops.exp(0.5 * ops.minimum(logvar, 4.0))


inputs = keras.Input((10,))
h = layers.Dense(16, activation="relu")(inputs)
spread = layers.Dense(LATENT, kernel_initializer=keras.initializers.Constant(0.2))(h)
z = Sampling()(layers.Dense(LATENT)(h), spread)
outputs = layers.Dense(10)(layers.Dense(16, activation="relu")(z))
vae = keras.Model(inputs, outputs, name="vae")
vae.compile(keras.optimizers.Adam(1e-3), loss="mae")
vae.fit(x, x, batch_size=BATCH, epochs=2, shuffle=False, verbose=0)
