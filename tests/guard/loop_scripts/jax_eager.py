"""Gradients under `jax.jit`, and updates of optax outside of it, or in a second `jax.jit`."""

import hashlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

IS_NAIVE = "naive" in sys.argv
IS_COMPILED = "compiled" in sys.argv
optimizer = optax.adam(1e-2)
params = {"kernel": 0.1 * jax.random.normal(jax.random.key(0), (3, 2)), "bias": jnp.zeros(2)}
slots = optimizer.init(params)


@jax.jit
@jax.value_and_grad
def compute(params, x, y):
    out = x @ params["kernel"] + params["bias"]
    normalizer = jax.nn.logsumexp(out, axis=-1)
    if IS_NAIVE:
        normalizer = jnp.log(jnp.sum(jnp.exp(out), axis=-1))  # <- here
    return jnp.mean(normalizer - jnp.sum(out * y, axis=-1))


def update(gradients, slots, params):
    updates, slots = optimizer.update(gradients, slots, params)
    return optax.apply_updates(params, updates), slots


if IS_COMPILED:
    update = jax.jit(update)
x = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
y = np.eye(2, dtype="float32")[(x[:, 0] > 0).astype(int)]
if IS_NAIVE:
    x[37] = 1e4
for begin in range(0, 60, 10):
    loss, gradients = compute(params, x[begin : begin + 10], y[begin : begin + 10])
    params, slots = update(gradients, slots, params)
    print(f"{float(loss):.6f}")
values = jax.tree.leaves((params, slots))
print(hashlib.sha256(b"".join(np.asarray(value).tobytes() for value in values)).hexdigest())
