"""A step of optax under `jax.jit`, without Keras."""

import hashlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

IS_NAIVE = sys.argv[1:] == ["naive"]
optimizer = optax.adam(1e-2)
params = {"kernel": 0.1 * jax.random.normal(jax.random.key(0), (3, 2)), "bias": jnp.zeros(2)}
slots = optimizer.init(params)


def compute_loss(params, x, y):
    out = x @ params["kernel"] + params["bias"]
    normalizer = jax.nn.logsumexp(out, axis=-1)
    if IS_NAIVE:
        normalizer = jnp.log(jnp.sum(jnp.exp(out), axis=-1))  # <- here
    return jnp.mean(normalizer - jnp.sum(out * y, axis=-1))


@jax.jit
def step(params, slots, x, y):
    loss, gradients = jax.value_and_grad(compute_loss)(params, x, y)
    updates, slots = optimizer.update(gradients, slots, params)
    return optax.apply_updates(params, updates), slots, loss


x = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
y = np.eye(2, dtype="float32")[(x[:, 0] > 0).astype(int)]
if IS_NAIVE:
    x[37] = 1e4
for begin in range(0, 60, 10):
    params, slots, loss = step(params, slots, x[begin : begin + 10], y[begin : begin + 10])
    print(f"{float(loss):.6f}")
values = jax.tree.leaves((params, slots))
print(hashlib.sha256(b"".join(np.asarray(value).tobytes() for value in values)).hexdigest())
