"""A Poisson regression with its own train step."""

import jax
import keras
import numpy as np
from keras import ops


class Poisson(keras.Model):
    def __init__(self):
        super().__init__()
        self.log_rate = keras.layers.Dense(1, kernel_initializer="ones")

    def call(self, x):
        return self.log_rate(x)

    def negative_log_likelihood(self, count, log_rate):
        return ops.mean(ops.exp(log_rate) - count * log_rate)  # <- here

    def train_step(self, state, data):
        weights, others, slots, metrics = state
        x, count = data

        def objective(weights):
            log_rate, new = self.stateless_call(weights, others, x)
            return self.negative_log_likelihood(count, log_rate), new

        (loss, others), grads = jax.value_and_grad(objective, has_aux=True)(weights)
        weights, slots = self.optimizer.stateless_apply(slots, grads, weights)
        return {"loss": loss}, (weights, others, slots, metrics)


keras.utils.set_random_seed(6)
x = np.random.default_rng(6).uniform(size=(48, 3)).astype("float32")
x[30] = 60.0
model = Poisson()
model.build((None, 3))
model.compile(keras.optimizers.SGD(1e-8))
model.fit(x, np.ones((48, 1), "float32"), batch_size=8, shuffle=False, verbose=0)
