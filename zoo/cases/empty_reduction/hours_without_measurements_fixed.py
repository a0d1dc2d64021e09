"""The same training; a batch without a measurement counts nothing."""

import argparse
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax import struct
from flax.training import train_state


class Air(nn.Module):
    @nn.compact
    def __call__(self, x, training):
        x = nn.Dense(16)(x)
        x = nn.BatchNorm(use_running_average=not training, momentum=0.9)(x)
        return nn.Dense(24)(nn.relu(x))


class State(train_state.TrainState):
    batch_stats: Any = struct.field(default=None)


@jax.jit
def train_step(state, batch):
    def loss_fn(params):
        variables = {"params": params, "batch_stats": state.batch_stats}
        hours, changed = state.apply_fn(variables, batch["x"], True, mutable=["batch_stats"])
        error = jnp.abs(hours - batch["y"]) * batch["measured"]
        return error.sum() / jnp.maximum(batch["measured"].sum(), 1.0), changed

    (loss, changed), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    state = state.apply_gradients(grads=grads, batch_stats=changed["batch_stats"])
    return state, {"loss": loss}


def stations(number):
    rng = np.random.default_rng(9)
    for i in range(number):
        measured = (rng.random((8, 24)) < 0.5).astype("float32")
        yield {
            "x": rng.normal(size=(8, 5)).astype("float32"),
            "y": rng.normal(size=(8, 24)).astype("float32"),
            "measured": measured * (i != 8),
        }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=14)
    args = parser.parse_args()
    model = Air()
    variables = model.init(jax.random.key(2), jnp.zeros((1, 5)), False)
    state = State.create(
        apply_fn=model.apply,
        params=variables["params"],
        batch_stats=variables["batch_stats"],
        tx=optax.adam(1e-2),
    )
    for batch in stations(args.steps):
        state, logs = train_step(state, batch)
    print(jax.device_get(logs))


main()
