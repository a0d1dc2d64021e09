"""Flax nnx in float16: a leaky sum of the squares of a signal, which passes 65504."""
# /// zoo
# cause = "half-overflow"
# step = 5
# rows = [4]
# fix = "source"
# value = "exact"
# backends = ["plain-jax"]
# stands_for = ["H01"]
# ///

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx


class Loudness(nnx.Module):
    def __init__(self, rngs):
        self.taps = nnx.Linear(1, 4, dtype=jnp.float16, rngs=rngs)
        self.head = nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, signal):
        heard = self.taps(signal[..., None])

        def follow(power, sample):
            return 0.9 * power + sample * sample, None  # at fault

        start = jnp.zeros_like(heard[:, 0])
        power, _ = jax.lax.scan(follow, start, heard.swapaxes(0, 1))
        return self.head(jnp.log1p(power.astype(jnp.float32)))[:, 0]


model = Loudness(nnx.Rngs(0))
optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)


@nnx.jit
def train_step(model, optimizer, signal, decibel):
    def loss_fn(model):
        return jnp.mean((model(signal) - decibel) ** 2)

    loss, grads = nnx.value_and_grad(loss_fn)(model)
    optimizer.update(model, grads)
    return loss


rng = np.random.default_rng(3)
signal = rng.normal(size=(80, 32)).astype("float32")
signal[5 * 8 + 4] *= 170.0
decibel = np.log1p((signal**2).sum(axis=1)).astype("float32")
for epoch in range(1):
    for start in range(0, 80, 8):
        rows = slice(start, start + 8)
        loss = train_step(model, optimizer, signal[rows], decibel[rows])
        print(start // 8, loss)
