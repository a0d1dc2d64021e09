"""Bodies of loops of JAX are repaired, though their functions ended when they were traced."""

from __future__ import annotations

import os

import numpy as np
import pytest

import stayfinite

if os.environ.get("KERAS_BACKEND") != "jax":
    pytest.skip("without Keras, on JAX", allow_module_level=True)

import jax
import jax.numpy as jnp

from stayfinite.repair.live import functions_with


def log_partition(emissions, transitions):
    def forward(carry, emission):
        arrived = carry[:, :, None] + transitions
        return emission + jnp.log(jnp.exp(arrived).sum(1)), None

    last, _ = jax.lax.scan(forward, emissions[0], emissions[1:])
    return jax.nn.logsumexp(last, axis=1)


def test_the_body_of_a_scan_is_rewritten_exactly(tmp_path):
    def step(weights, count, sequences):
        def loss_fn(weights):
            emissions = sequences @ weights["emission"]
            return log_partition(emissions, weights["transition"]).mean()

        loss, gradients = jax.value_and_grad(loss_fn)(weights)
        return jax.tree.map(lambda w, g: w - 0.01 * g, weights, gradients), count + 1, loss

    generator = np.random.default_rng(14)
    weights = {
        "emission": jnp.asarray(generator.normal(size=(5, 3)).astype("float32")),
        "transition": jnp.zeros((3, 3)),
    }
    count = jnp.asarray(0)
    sequences = generator.normal(size=(2, 4, 8, 5)).astype("float32")
    sequences[1, :, 4] *= 80
    guarded = stayfinite.guarded(
        jax.jit(step), state=("weights", "count"), keep=tmp_path / "incidents"
    )
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for batch in sequences:
            weights, count, _ = guarded(weights, count, batch)
        guarded.check()
    incident = caught.value.incident
    assert incident.cause.name == "overflow"
    assert incident.fix is not None
    assert (incident.fix.verified, incident.fix.value) == (True, "exact")
    assert "logsumexp(arrived, axis=1)" in incident.fix.diff


def _function_that_ended(number):
    def inner(x):
        return x + number

    return inner.__code__


def test_a_function_that_has_ended_is_made_again_without_its_closure():
    code = _function_that_ended(2)
    found = functions_with([_function_that_ended.__code__, code])
    made = found[id(code)]
    assert made.__code__ is code
    assert made.__globals__ is globals()
    assert len(made.__closure__) == 1
    with pytest.raises(ValueError, match="empty"):
        _ = made.__closure__[0].cell_contents


def test_a_function_of_a_file_without_a_live_one_is_not_found():
    code = _function_that_ended(2)
    assert id(code) not in functions_with([code])
