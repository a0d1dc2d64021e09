"""A step whose state cannot be told from its results: the weights come back as one array."""

import jax
import jax.numpy as jnp
import optax

optimizer = optax.sgd(0.1)


@jax.jit
def step(weights, x):
    gradients = jax.grad(lambda w: jnp.mean(jnp.square(x @ w["kernel"])))(weights)
    updates, _ = optimizer.update(gradients, optimizer.init(weights))
    return optax.apply_updates(weights, updates)["kernel"]


kernel = jnp.ones((3, 1))
for _ in range(3):
    kernel = step({"kernel": kernel}, jnp.ones((4, 3)))
print(float(kernel.sum()))
