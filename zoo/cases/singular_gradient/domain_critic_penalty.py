"""Wasserstein distance between recorded and simulated sensor windows. Where both recorders were
off, the critic has no slope at all, and the square root of the penalty has no derivative there."""

# /// zoo
# cause = "singular-gradient"
# step = 9
# rows = [5]
# fix = "source"
# value = "exact"
# backends = ["tensorflow"]
# ///
import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(3)
rng = np.random.default_rng(3)
WINDOW = 24
LAMBDA = 10.0


def windows(noise, n):
    t = np.linspace(0, 3, WINDOW)
    phase = rng.uniform(0, 6, (n, 1))
    wave = np.sin(2 * t + phase) * rng.uniform(0.5, 1.5, (n, 1))
    return (wave + noise * rng.normal(size=(n, WINDOW))).astype("float32")


recorded = windows(0.1, 160)
simulated = windows(0.4, 160)
recorded[77] = 0.0  # both loggers were switched off
simulated[77] = 0.0


class DomainCritic(keras.Model):
    def __init__(self):
        super().__init__()
        self.net = keras.Sequential(
            [
                layers.Dense(32, activation="relu", use_bias=False),
                layers.Dense(32, activation="relu", use_bias=False),
                layers.Dense(1),
            ]
        )

    def call(self, x, training=False):
        return self.net(x, training=training)

    def slope_penalty(self, a, b):
        share = tf.random.uniform([tf.shape(a)[0], 1])
        mixed = share * a + (1.0 - share) * b
        with tf.GradientTape() as inner:
            inner.watch(mixed)
            score = self(mixed, training=True)
        slope = inner.gradient(score, mixed)
        length = tf.sqrt(tf.reduce_sum(slope**2, axis=1))  # at fault
        return tf.reduce_mean((length - 1.0) ** 2)

    def train_step(self, data):
        real, fake = data
        with tf.GradientTape() as tape:
            gap = tf.reduce_mean(self(fake, training=True)) - tf.reduce_mean(
                self(real, training=True)
            )
            loss = gap + LAMBDA * self.slope_penalty(real, fake)
        grads = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.trainable_variables))
        return {"loss": loss}


critic = DomainCritic()
critic.compile(optimizer=keras.optimizers.Adam(1e-3))
data = tf.data.Dataset.from_tensor_slices((recorded, simulated)).batch(8)
critic.fit(data, epochs=2, verbose=0)
