"""Flax nnx with BatchNorm, dropout and a column that never changes: its variance is 0."""
# /// zoo
# backends = ["plain-jax"]
# stands_for = ["G01"]
# ///

import numpy as np
import optax
from flax import nnx


class Net(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(5, rngs=rngs)
        self.linear = nnx.Linear(5, 1, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)

    def __call__(self, x):
        return self.linear(self.dropout(self.norm(x)))[:, 0]


model = Net(nnx.Rngs(3))
optimizer = nnx.Optimizer(model, optax.adamw(1e-2), wrt=nnx.Param)


@nnx.jit
def step(model, optimizer, x, y):
    loss, grads = nnx.value_and_grad(lambda model: ((model(x) - y) ** 2).mean())(model)
    optimizer.update(model, grads)
    return loss


rng = np.random.default_rng(3)
x = rng.normal(size=(128, 5)).astype("float32")
x[:, 2] = 4.0
for rows in np.split(np.arange(128), 16):
    loss = step(model, optimizer, x[rows], x[rows, 0])
print(loss)
