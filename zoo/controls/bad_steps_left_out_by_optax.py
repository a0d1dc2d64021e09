"""Flax linen with `optax.apply_if_finite`: one bad batch is left out by the optimizer itself."""
# /// zoo
# backends = ["plain-jax"]
# stands_for = ["optax 1746"]
# ///

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState

model = nn.Dense(1)
params = model.init(jax.random.key(0), jnp.zeros((1, 4)))
tx = optax.apply_if_finite(optax.sgd(0.01), max_consecutive_errors=3)
state = TrainState.create(apply_fn=model.apply, params=params, tx=tx)


@jax.jit
def train_step(state, x, y):
    def loss_fn(params):
        return jnp.mean((state.apply_fn(params, x)[:, 0] - y) ** 2)

    loss, grads = jax.value_and_grad(loss_fn)(state.params)
    return state.apply_gradients(grads=grads), loss


rng = np.random.default_rng(1)
x = rng.normal(size=(96, 4)).astype("float32")
y = x.sum(axis=1)
x[41] = np.inf
for i in range(0, 96, 8):
    state, loss = train_step(state, x[i : i + 8], y[i : i + 8])
print("left out", state.opt_state.total_notfinite)
