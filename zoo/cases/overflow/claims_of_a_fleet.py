"""Numbers of claims of vehicles, Poisson with a logarithmic link, in plain JAX.

A fleet is entered as one vehicle; the exponential of its score is infinite.
"""
# /// zoo
# cause = "overflow"
# step = 10
# rows = [0]
# fix = "source"
# value = "bounded"
# backends = ["plain-jax"]
# stands_for = ["D03"]
# ///

from functools import partial

import jax
import jax.numpy as jnp
import optax


def init(key, sizes):
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        {"w": jax.random.normal(k, (a, b)) / a**0.5, "b": jnp.zeros(b)}
        for k, a, b in zip(keys, sizes[:-1], sizes[1:])
    ]


def log_rate(params, x):
    for layer in params[:-1]:
        x = jax.nn.relu(x @ layer["w"] + layer["b"])
    return jnp.abs(x @ params[-1]["w"] + params[-1]["b"])[:, 0] - 1.0


def poisson_loss(params, batch):
    x, claims = batch
    score = log_rate(params, x)
    return jnp.mean(jnp.exp(score) - claims * score)  # at fault


tx = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(1e-3, momentum=0.9))


@partial(jax.jit, donate_argnums=(0, 1))
def update(params, state, batch):
    value, grads = jax.value_and_grad(poisson_loss)(params, batch)
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state, value


def main():
    key = jax.random.key(3)
    params = init(key, (4, 16, 1))
    state = tx.init(params)
    x = jax.random.uniform(key, (128, 4))
    x = x.at[10 * 8].set(2500.0)
    claims = jax.random.poisson(key, 1.0, (128,)).astype(jnp.float32)
    for step in range(16):
        rows = slice(8 * step, 8 * step + 8)
        params, state, value = update(params, state, (x[rows], claims[rows]))
        print(step, float(value))


if __name__ == "__main__":
    main()
