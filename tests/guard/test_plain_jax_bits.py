"""Guarded steps of JAX without Keras leave the bits of a finite training, by kind of update."""

from __future__ import annotations

import os

import numpy as np
import pytest

import stayfinite

if os.environ.get("KERAS_BACKEND") != "jax":
    pytest.skip("without Keras, on JAX", allow_module_level=True)
pytest.importorskip("optax")
pytest.importorskip("flax")

import jax
import jax.numpy as jnp
import optax
from flax import linen

OPTIMIZERS = {
    "sgd with momentum": lambda: optax.sgd(0.05, momentum=0.9, nesterov=True),
    "adamw, clipped": lambda: optax.chain(optax.clip_by_global_norm(0.5), optax.adamw(1e-2)),
    "adam by a schedule": lambda: optax.adam(optax.cosine_decay_schedule(1e-2, 20)),
    "lion with an average of the weights": lambda: optax.chain(optax.lion(1e-3), optax.ema(0.9)),
}


class Net(linen.Module):
    """A convolution, the statistics of a batch, and a wide layer."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(8, (3, 3))(x)
        x = linen.relu(linen.BatchNorm(use_running_average=False)(x))
        return linen.Dense(128)(x.reshape(len(x), -1)).mean(axis=1)


def training(tx, guard):
    def step(variables, opt_state, x, y):
        def loss_fn(params):
            given = {"params": params, "batch_stats": variables["batch_stats"]}
            out, new = Net().apply(given, x, mutable=["batch_stats"])
            return jnp.mean((out - y) ** 2), new

        (loss, new), grads = jax.value_and_grad(loss_fn, has_aux=True)(variables["params"])
        updates, opt_state = tx.update(grads, opt_state, variables["params"])
        params = optax.apply_updates(variables["params"], updates)
        return {"params": params, **new}, opt_state, loss

    rng = np.random.default_rng(0)
    variables = Net().init(jax.random.key(0), jnp.zeros((1, 12, 12, 3)))
    opt_state = tx.init(variables["params"])
    step = guard(jax.jit(step))
    losses = []
    for _ in range(8):
        x, y = rng.normal(size=(16, 12, 12, 3)), rng.normal(size=16)
        variables, opt_state, loss = step(
            variables, opt_state, x.astype("float32"), y.astype("float32")
        )
        losses.append(loss)
    return [np.asarray(leaf) for leaf in jax.tree.leaves((variables, opt_state, losses))]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_finite_training_has_the_same_bits(name, tmp_path):
    plain = training(OPTIMIZERS[name](), lambda step: step)
    guarded = training(OPTIMIZERS[name](), lambda step: stayfinite.guarded(step, keep=tmp_path))
    assert len(guarded) == len(plain)
    for one, other in zip(guarded, plain, strict=True):
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())


def test_keywords_may_come_in_any_order(tmp_path):
    @jax.jit
    def step(*, weights, moment, inputs, targets):
        def loss_fn(weights):
            return jnp.mean((inputs @ weights - targets) ** 2)

        loss, gradient = jax.value_and_grad(loss_fn)(weights)
        moment = 0.9 * moment + gradient
        return {"weights": weights - 0.1 * moment, "moment": moment, "loss": loss}

    def final_state(step):
        rng = np.random.default_rng(0)
        state = {"weights": jnp.zeros(3), "moment": jnp.zeros(3)}
        for number in range(12):
            x = jnp.asarray(rng.normal(size=(8, 3)), "float32")
            y = jnp.asarray(rng.normal(size=8), "float32")
            given = {**state, "targets": y, "inputs": x}
            # The state that a step gives is in the order of JAX. Every third call has another one.
            keys = reversed(given) if number % 3 == 2 else given
            state = step(**{key: given[key] for key in keys})
            state.pop("loss")
        return state

    guarded = stayfinite.guarded(step, keep=tmp_path)
    found, expected = final_state(guarded), final_state(step)
    guarded.check()
    assert {key: array.tobytes() for key, array in found.items()} == {
        key: array.tobytes() for key, array in expected.items()
    }
