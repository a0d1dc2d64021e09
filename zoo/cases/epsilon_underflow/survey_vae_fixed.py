"""The same autoencoder; 1 - p is the sigmoid of -logit."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)


class Latent(layers.Layer):
    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, inputs):
        mean, log_sigma_sq = inputs
        kl = 1 + log_sigma_sq - ops.square(mean) - ops.exp(log_sigma_sq)
        self.add_loss(-0.5 * ops.mean(ops.sum(kl, axis=1)) / 20)
        return mean + ops.exp(log_sigma_sq / 2) * keras.random.normal(
            ops.shape(mean), seed=self.seeds
        )


def reconstruction_loss(x, logits):
    said_yes = x * ops.log(1e-10 + ops.sigmoid(logits))
    said_no = (1 - x) * ops.log(1e-10 + ops.sigmoid(-logits))
    return -ops.sum(said_yes + said_no, axis=1)


rng = np.random.default_rng(0)
people = rng.normal(size=(96, 6))
people[75, 2] = 900.0  # minutes of radio a day, the others are in hours from the mean
answers = people @ rng.normal(size=(6, 20)) + rng.normal(size=(96, 20)) > 0

x = keras.Input((6,))
mean = layers.Dense(4, kernel_initializer="zeros")(x)
log_sigma_sq = layers.Dense(4, kernel_initializer="zeros")(x)
z = Latent()([mean, log_sigma_sq])
logits = layers.Dense(20)(layers.Concatenate()([z, x]))
vae = keras.Model(x, logits)
vae.compile(optimizer=keras.optimizers.SGD(1e-3), loss=reconstruction_loss)
log = vae.fit(
    people.astype("float32"), answers.astype("float32"), batch_size=8, shuffle=False, verbose=0
)
print("loss", log.history["loss"][-1])
