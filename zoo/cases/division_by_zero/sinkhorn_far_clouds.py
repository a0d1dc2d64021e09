"""Optimal transport between point clouds with Sinkhorn's iteration. For clouds far apart the kernel
rounds to 0 and the first scaling divides by it."""

# /// zoo
# cause = "division-by-zero"
# step = 9
# rows = [7]
# fix = "source"
# value = "exact"
# backends = ["jax"]
# ///
import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(35)
rng = np.random.default_rng(35)
POINTS = 6
BLUR = 0.5

source = rng.normal(size=(160, POINTS, 2)).astype("float32")
target = (source @ np.array([[0.9, 0.2], [-0.2, 0.9]]) + 0.3).astype("float32")
target[79] += 40.0


def transport_cost(p, q):
    cost = jnp.sum((p[:, None] - q[None, :]) ** 2, axis=-1)
    kernel = jnp.exp(-cost / BLUR)
    u = v = jnp.full(POINTS, 1.0 / POINTS)
    for _ in range(8):
        u = (1.0 / POINTS) / (kernel @ v)  # at fault
        v = (1.0 / POINTS) / (kernel.T @ u)
    return jnp.sum(u[:, None] * kernel * v[None, :] * cost)


def sinkhorn(y_true, y_pred):
    return jax.vmap(transport_cost)(y_pred, y_true)


model = keras.Sequential(
    [keras.Input((POINTS, 2)), layers.Dense(16, activation="tanh"), layers.Dense(2)]
)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=sinkhorn)
model.fit(source, target, batch_size=8, epochs=1, shuffle=False, verbose=0)
