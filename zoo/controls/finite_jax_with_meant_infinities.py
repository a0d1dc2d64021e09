"""Plain JAX: scores of -inf and a NaN that `where` removes before it has a gradient."""
# /// zoo
# backends = ["plain-jax"]
# stands_for = ["jax#25299"]
# ///

import jax
import jax.numpy as jnp
import numpy as np
import optax


def loss_fn(params, x, known):
    filled = jnp.where(known, x, 0.0)
    scores = jnp.where(known, filled * params["scale"], -jnp.inf)
    weights = jax.nn.softmax(scores, axis=1)
    return jnp.mean((jnp.sum(weights * filled, axis=1) - params["target"]) ** 2)


optimizer = optax.adam(1e-2)


@jax.jit
def step(params, opt_state, x):
    loss, grads = jax.value_and_grad(loss_fn)(params, x, ~jnp.isnan(x))
    updates, opt_state = optimizer.update(grads, opt_state)
    return optax.apply_updates(params, updates), opt_state, loss


rng = np.random.default_rng(0)
readings = rng.normal(size=(160, 5)).astype("float32")
readings[rng.random((160, 5)) < 0.2] = np.nan
readings[:, 0] = 1.0
params = {"scale": jnp.ones(()), "target": jnp.zeros(())}
opt_state = optimizer.init(params)
for rows in np.split(readings, 20):
    params, opt_state, loss = step(params, opt_state, rows)
print(loss)
