"""Mixture density network for an inverse problem, likelihood written out in jax.numpy."""

# /// zoo
# cause = "log-of-zero"
# step = 12
# rows = [27]
# fix = "source"
# value = "exact"
# backends = ["jax"]
# ///

import jax
import jax.numpy as jnp
import keras
import numpy as np

keras.utils.set_random_seed(13)
K, BATCH = 3, 32
rng = np.random.default_rng(13)
y = rng.uniform(-1, 1, (640, 1)).astype("float32")
x = (y + 0.3 * np.sin(6 * y) + 0.03 * rng.normal(size=y.shape)).astype("float32")
y[12 * BATCH + 27] = 60.0  # units were mixed up once, in millimetres


def gaussian(y, mu, sigma):
    z = (y - mu) / sigma
    return jnp.exp(-0.5 * z**2) / (sigma * 2.5066)


def nll(y_true, params):
    weight, mu, raw = jnp.split(params, 3, axis=-1)
    weight = jax.nn.softmax(weight)
    sigma = 0.1 + jax.nn.softplus(raw)
    density = jnp.sum(weight * gaussian(y_true, mu, sigma), axis=-1)
    return -jnp.log(density)  # at fault


net = keras.Sequential(
    [keras.Input((1,)), keras.layers.Dense(32, "tanh"), keras.layers.Dense(3 * K)]
)
net.compile(keras.optimizers.Adam(1e-2), loss=nll)
net.fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
