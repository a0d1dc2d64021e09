"""Flax nnx: an energy-based classifier with its own partition function.

One molecule has an energy of -120, and the exponential of 120 has no room in float32.
"""
# /// zoo
# cause = "overflow"
# step = 9
# rows = [0]
# fix = "source"
# value = "exact"
# backends = ["plain-jax"]
# stands_for = ["D01"]
# ///

import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx


class Energy(nnx.Module):
    def __init__(self, features: int, classes: int, *, rngs: nnx.Rngs):
        self.linear = nnx.Linear(features, classes, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)

    def __call__(self, x):
        return self.linear(self.dropout(x))


def log_likelihood(energy, labels):
    unnormalised = jnp.exp(-energy)  # at fault
    partition = unnormalised.sum(axis=-1)
    picked = jnp.take_along_axis(-energy, labels[:, None], axis=-1)[:, 0]
    return picked - jnp.log(partition)


@nnx.jit
def train_step(model, optimizer, metrics, x, labels):
    def loss_fn(model):
        return -log_likelihood(model(x), labels).mean()

    loss, grads = nnx.value_and_grad(loss_fn)(model)
    metrics.update(values=loss)
    optimizer.update(model, grads)


rng = np.random.default_rng(6)
x = rng.normal(size=(96, 6)).astype("float32")
x[9 * 8] *= -250.0
labels = rng.integers(0, 4, 96)
model = Energy(6, 4, rngs=nnx.Rngs(params=0, dropout=1))
optimizer = nnx.Optimizer(model, optax.sgd(1e-3), wrt=nnx.Param)
metrics = nnx.metrics.Average()
for start in range(0, 96, 8):
    train_step(model, optimizer, metrics, x[start : start + 8], labels[start : start + 8])
print("mean loss", metrics.compute())
