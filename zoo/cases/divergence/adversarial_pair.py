"""Trains a generator against a critic, a Wasserstein GAN without any bound on the critic.

Both sides take gradient steps with the same high learning rate. Nothing limits the slope of the
critic, the two push each other outwards, and outputs and weights grow until they overflow.
"""
# /// zoo
# cause = "divergence"
# step = 19
# fix = "setting"
# stands_for = ["J01", "J08"]
# ///

import keras
import numpy as np
from keras import layers, ops


class Pair(keras.Model):
    """One network whose loss is the sum of both players': each sees the other's part as fixed."""

    def __init__(self, rng):
        super().__init__()
        self.generator = layers.Dense(4)
        self.critic_hidden = layers.Dense(16, activation="leaky_relu")
        self.critic_score = layers.Dense(1, use_bias=False)
        self.generator.build((None, 3))
        self.critic_hidden.build((None, 4))
        self.critic_score.build((None, 16))
        self.generator.set_weights([rng.normal(0, 0.5, (3, 4)), np.zeros(4)])
        self.critic_hidden.set_weights([rng.normal(0, 0.5, (4, 16)), np.zeros(16)])
        self.critic_score.set_weights([rng.normal(0, 0.5, (16, 1))])

    def score(self, samples):
        return self.critic_score(self.critic_hidden(samples))

    def call(self, noise):
        return self.generator(noise)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        # The gradient of the fake score is turned around for the critic, which maximises
        # the difference that the generator minimises.
        critic_loss = ops.mean(self.score(ops.stop_gradient(y_pred))) - ops.mean(self.score(y))
        generator_loss = -ops.mean(self.score(y_pred))
        return critic_loss + 2 * generator_loss


rng = np.random.default_rng(5)
noise = rng.normal(size=(256, 3)).astype("float32")
real = rng.normal(1.0, 0.5, size=(256, 4)).astype("float32")
pair = Pair(rng)
pair.compile(optimizer=keras.optimizers.SGD(0.05))
history = pair.fit(noise, real, batch_size=16, epochs=4, shuffle=False, verbose=0)
print("losses", history.history["loss"])
