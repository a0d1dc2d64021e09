"""Reaction rates from logarithms of concentrations; `where` gives absent substances 0.

The value is right, but the derivative of the logarithm at 0 comes through the branch that is not
taken: the question of the FAQ of JAX.
"""
# /// zoo
# cause = "masked-branch"
# step = 9
# rows = [5]
# fix = "source"
# value = "exact"
# backends = ["plain-jax"]
# stands_for = ["B04", "jax faq"]
# ///

import jax
import jax.numpy as jnp
import numpy as np
import optax


class Experiments:
    """Batches of amounts of three substances and the rate that was measured."""

    def __init__(self, number, batch_size):
        rng = np.random.default_rng(8)
        self.amount = rng.uniform(0.2, 2.0, size=(number, 3)).astype("float32")
        self.amount[9 * batch_size + 5, 1] = 0.0
        self.rate = rng.normal(size=number).astype("float32")
        self.batch_size = batch_size

    def __iter__(self):
        for start in range(0, len(self.rate), self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield {"amount": self.amount[rows], "rate": self.rate[rows]}


def predict(params, amount):
    present = amount * jax.nn.softplus(params["purity"])
    logs = jnp.where(present > 0, jnp.log(present), 0.0)  # at fault
    return logs @ params["order"] + params["constant"]


def loss_fn(params, batch):
    return jnp.mean(optax.huber_loss(predict(params, batch["amount"]), batch["rate"]))


optimizer = optax.adamw(3e-3)


@jax.jit
def train_step(state, batch):
    params, opt_state = state
    loss, grads = jax.value_and_grad(loss_fn)(params, batch)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return (optax.apply_updates(params, updates), opt_state), loss


params = {"purity": jnp.ones(3), "order": jnp.array([0.5, 0.2, -0.3]), "constant": jnp.zeros(())}
state = (params, optimizer.init(params))
for number, batch in enumerate(Experiments(96, 8)):
    state, loss = train_step(state, batch)
    if number % 4 == 3:
        print(number, float(loss))
