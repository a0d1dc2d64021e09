"""Click rates by logistic regression in plain JAX; the log loss is written with a sigmoid.

One visitor's score is 110, the sigmoid of it is 1 in float32, and he did not click.
"""
# /// zoo
# cause = "log-of-zero"
# step = 7
# rows = [3]
# fix = "source"
# value = "exact"
# backends = ["plain-jax"]
# stands_for = ["D01", "jax#475"]
# ///

import jax
import jax.numpy as jnp
import numpy as np
import optax

rng = np.random.default_rng(0)
visits = rng.normal(size=(96, 5)).astype("float32")
visits[7 * 8 + 3] = 55.0
clicked = (visits @ np.ones(5) + rng.normal(size=96) > 0).astype("float32")
clicked[7 * 8 + 3] = 0.0

params = {"w": jnp.full((5,), 0.4), "b": jnp.zeros(())}
optimizer = optax.adam(1e-3)
opt_state = optimizer.init(params)


def loss_fn(params, x, y):
    p = jax.nn.sigmoid(x @ params["w"] + params["b"])
    return -jnp.mean(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))  # at fault


@jax.jit
def train_step(params, opt_state, x, y):
    loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, loss


for epoch in range(2):
    for i in range(0, 96, 8):
        batch = visits[i : i + 8], clicked[i : i + 8]
        params, opt_state, loss = train_step(params, opt_state, *batch)
    print(epoch, loss)
