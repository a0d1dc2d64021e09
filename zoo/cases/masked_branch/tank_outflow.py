"""Outflow of a tank after Torricelli. An empty tank reads a little below 0: where drops the square
root of the negative level, and its gradient is NaN all the same."""

# /// zoo
# cause = "masked-branch"
# step = 15
# rows = [4]
# fix = "source"
# value = "exact"
# backends = ["jax"]
# ///
import jax.numpy as jnp
import keras
import numpy as np

keras.utils.set_random_seed(6)
rng = np.random.default_rng(6)

level = rng.uniform(0.8, 2.0, (200, 1)).astype("float32")
valve = rng.uniform(0, 1, (200, 1)).astype("float32")
level[124] = -0.6  # empty; the gauge has an offset
flow = np.sqrt(np.maximum(level, 0)) * (1 + 0.1 * valve)


def torricelli(h):
    return jnp.where(h > 0, jnp.sqrt(h), 0.0)  # at fault


class Tank(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(8, activation="tanh")
        self.offset = keras.layers.Dense(1, activation="tanh")

    def call(self, x):
        h = x[:, :1] + 0.3 * self.offset(self.hidden(x))
        return torricelli(h)


model = Tank()
model.compile(optimizer="adam", loss=lambda t, p: jnp.mean((t - p) ** 2, axis=-1))
model.fit(np.hstack([level, valve]), flow, batch_size=8, epochs=2, shuffle=False, verbose=0)
