"""A variational autoencoder samples its code with a standard deviation sqrt(exp(log sigma^2)).

One image kept the 12-bit range of the camera. Its log-variance falls far below -104, exp rounds it
to 0, and the root of 0 has an infinite derivative that meets the 0 of exp.
"""

# /// zoo
# cause = "singular-gradient"
# step = 7
# rows = [9]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 35b", "GRIST 36b", "GRIST 39b", "GRIST 43b", "GRIST 49b"]
# ///
import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits

LATENT = 2

keras.utils.set_random_seed(0)
x = (load_digits().data[:256] / 16.0).astype("float32")
x[121] *= 4095.0
noise = np.random.default_rng(1).normal(size=(len(x), LATENT)).astype("float32")

image = keras.Input((64,))
eps = keras.Input((LATENT,))
h = layers.Dense(32, activation="softplus")(image)
z_mean = layers.Dense(LATENT, name="z_mean")(h)
z_log_sigma_sq = layers.Dense(
    LATENT,
    # Codes that start nearly without noise.
    kernel_initializer=keras.initializers.RandomUniform(-0.1, 0.0, seed=2),
    name="z_log_sigma_sq",
)(h)


class Sample(layers.Layer):
    def call(self, mean, log_sigma_sq, epsilon):
        sigma_sq = ops.exp(ops.minimum(log_sigma_sq, 87.0))
        kl = -0.5 * ops.sum(1 + log_sigma_sq - ops.square(mean) - sigma_sq, axis=-1)
        self.add_loss(1e-3 * ops.mean(kl))
        sigma = ops.sqrt(sigma_sq)  # at fault
        return mean + sigma * epsilon


z = Sample()(z_mean, z_log_sigma_sq, eps)
decoded = layers.Dense(64)(layers.Dense(32, activation="softplus")(z))
vae = keras.Model([image, eps], decoded)
vae.compile(keras.optimizers.Adam(1e-3), loss="huber")
vae.fit([x, noise], x, batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss:", vae.evaluate([x, noise], x, verbose=0))
