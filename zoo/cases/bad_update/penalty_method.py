"""Fits a network whose outputs must sum to 1 by a penalty that is multiplied by 1000 each epoch.

Nothing ends that. When the gradient has passed 1e19 its squares overflow: loss and gradient are
finite, the global norm that they are clipped by is inf.
"""
# /// zoo
# cause = "bad-update"
# step = 28
# fix = "source"
# value = "bounded"
# stands_for = ["K05", "K01"]
# ///

import keras
import numpy as np
from keras import ops


class SumToOne(keras.layers.Layer):
    """Adds mu * (sum - 1)^2 to the loss; mu is raised from outside."""

    def build(self, input_shape):
        self.mu = self.add_weight(name="mu", shape=(), initializer="ones", trainable=False)

    def call(self, shares):
        violation = ops.sum(shares, axis=-1) - 1.0
        self.add_loss(self.mu * ops.mean(violation**2))
        return shares


class RaiseMu(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        mu = self.model.get_layer("penalty").mu
        mu.assign(mu * 1000.0)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(40)
budget = rng.normal(size=(48, 5)).astype("float32")
shares = np.exp(budget[:, :3])
shares /= shares.sum(axis=1, keepdims=True)

model = keras.Sequential(
    [
        keras.Input((5,)),
        keras.layers.Dense(8, activation="tanh"),
        keras.layers.Dense(3),
        SumToOne(name="penalty"),
    ]
)
clipped = keras.optimizers.SGD(learning_rate=0.05, global_clipnorm=1.0)  # at fault
model.compile(clipped, loss="mse")
history = model.fit(
    budget, shares, batch_size=12, epochs=9, shuffle=False, verbose=0, callbacks=[RaiseMu()]
)
print("loss", history.history["loss"][-1])
