"""Embeds cities so that distances on the map are kept, in plain JAX.

A pair of the list is a city with itself: the distance is 0, where a norm has no derivative.
"""
# /// zoo
# cause = "singular-gradient"
# step = 6
# rows = [2]
# fix = "source"
# value = "exact"
# backends = ["plain-jax"]
# stands_for = ["A08", "jax#7935"]
# ///

import jax
import jax.numpy as jnp
import numpy as np
import optax

rng = np.random.default_rng(4)
pairs = np.stack([rng.permutation(20)[:2] for _ in range(80)])
pairs[6 * 8 + 2] = 5
on_map = rng.normal(size=(20, 2)).astype("float32")
kilometres = np.linalg.norm(on_map[pairs[:, 0]] - on_map[pairs[:, 1]], axis=1)


def stress(table, pair, wanted):
    difference = table[pair[:, 0]] - table[pair[:, 1]]
    distance = jnp.sqrt(jnp.sum(difference**2, axis=1))  # at fault
    return jnp.mean(jnp.abs(distance - wanted))


table = jax.random.normal(jax.random.PRNGKey(1), (20, 2))
solver = optax.sgd(optax.exponential_decay(0.05, 10, 0.9))
opt_state = solver.init(table)


def step(table, opt_state, pair, wanted):
    loss, gradient = jax.value_and_grad(stress)(table, pair, wanted)
    updates, opt_state = solver.update(gradient, opt_state)
    return optax.apply_updates(table, updates), opt_state, {"loss": loss}


step = jax.jit(step)
for epoch in range(2):
    for batch in np.split(np.arange(80), 10):
        table, opt_state, logs = step(table, opt_state, pairs[batch], kilometres[batch])
    print(epoch, logs["loss"])
