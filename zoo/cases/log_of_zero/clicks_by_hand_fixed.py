"""The same training with `log_sigmoid`."""

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
    score = x @ params["w"] + params["b"]
    return -jnp.mean(y * jax.nn.log_sigmoid(score) + (1 - y) * jax.nn.log_sigmoid(-score))


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
