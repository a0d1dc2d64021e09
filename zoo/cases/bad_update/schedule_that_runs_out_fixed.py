"""The same training; the learning rate does not fall below a hundredth."""

import jax
import jax.numpy as jnp
import optax

PLANNED = 16


def schedule(count):
    return 0.05 * jnp.sqrt(jnp.maximum(1.0 - count / PLANNED, 1e-4))


optimizer = optax.chain(optax.add_decayed_weights(1e-4), optax.sgd(schedule, momentum=0.9))


def loss_fn(params, x):
    return jnp.mean((x @ params - x[:, 0]) ** 2)


@jax.jit
def train_step(params, opt_state, x):
    loss, grads = jax.value_and_grad(loss_fn)(params, x)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, loss


params = jnp.zeros(4)
opt_state = optimizer.init(params)
for key in jax.random.split(jax.random.key(1), 20):
    params, opt_state, loss = train_step(params, opt_state, jax.random.normal(key, (8, 4)))
    print(loss)
