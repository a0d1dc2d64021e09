"""Equinox: a network for currents with a learning rate of 10, taken from another project."""
# /// zoo
# cause = "divergence"
# step = 3
# fix = "setting"
# backends = ["plain-jax"]
# stands_for = ["J01"]
# ///

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

LEARNING_RATE = 10.0


def loss_fn(model, voltage, current):
    predicted = jax.vmap(model)(voltage)
    return jnp.mean((predicted - current) ** 2)


key = jax.random.key(0)
model = eqx.nn.MLP(3, 1, 16, 2, activation=jax.nn.leaky_relu, key=key)
optim = optax.sgd(LEARNING_RATE)
opt_state = optim.init(eqx.filter(model, eqx.is_array))


@eqx.filter_jit
def step(model, opt_state, voltage, current):
    loss, grads = eqx.filter_value_and_grad(loss_fn)(model, voltage, current)
    updates, opt_state = optim.update(grads, opt_state)
    return eqx.apply_updates(model, updates), opt_state, loss


for i in range(60):
    key, draw = jax.random.split(key)
    voltage = jax.random.normal(draw, (16, 3))
    model, opt_state, loss = step(model, opt_state, voltage, voltage.sum(1, keepdims=True))
print("loss", loss)
