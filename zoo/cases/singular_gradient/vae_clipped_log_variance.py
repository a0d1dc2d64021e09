"""A variational autoencoder whose author clips the log-variance to [-100, 87] before exp and sqrt.

exp(-100) is a subnormal float32. A backend that flushes those gets sqrt(0) all the same, with an
infinite derivative, when the log-variance of an unscaled image runs into the lower limit.
"""

# /// zoo
# cause = "singular-gradient"
# step = 5
# rows = [4]
# fix = "source"
# value = "exact"
# backends = ["jax"]
# stands_for = ["GRIST 35b", "GRIST 36b", "GRIST 39b", "GRIST 43b", "GRIST 49b", "Z09"]
# ///
import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
pixels, classes = load_digits(return_X_y=True)
pixels = (pixels[:240] / 16.0).astype("float32")
pixels[64] *= 1000.0
one_hot = np.eye(10, dtype="float32")[classes[:240]]


class ConditionalVAE(keras.Model):
    def __init__(self, latent=3):
        super().__init__()
        narrow = keras.initializers.RandomUniform(-0.2, 0.0, seed=4)
        self.encode = layers.Dense(24, activation="softplus")
        self.mean = layers.Dense(latent)
        self.log_sigma_sq = layers.Dense(latent, kernel_initializer=narrow)
        self.decode = keras.Sequential([layers.Dense(24, activation="softplus"), layers.Dense(64)])
        self.seeds = keras.random.SeedGenerator(7)

    def call(self, inputs):
        image, label = inputs
        h = self.encode(ops.concatenate([image, label], axis=1))
        mean, log_sigma_sq = self.mean(h), self.log_sigma_sq(h)
        eps = keras.random.normal(ops.shape(mean), seed=self.seeds)
        limited = ops.clip(log_sigma_sq, -100.0, 87.0)
        z = mean + eps * ops.sqrt(ops.exp(limited))  # at fault
        self.add_loss(-5e-4 * ops.mean(1 + log_sigma_sq - mean * mean - ops.exp(limited)))
        return self.decode(ops.concatenate([z, label], axis=1))


model = ConditionalVAE()
model.compile(optimizer="adam", loss="mae")
model.fit([pixels, one_hot], pixels, batch_size=12, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate([pixels, one_hot], pixels, verbose=0))
