"""What a compiled function of JAX reads stays what it was when JAX traced it."""

from __future__ import annotations

import os

import pytest

import stayfinite

if os.environ.get("KERAS_BACKEND") != "jax":
    pytest.skip("functions that JAX compiles", allow_module_level=True)
pytest.importorskip("optax")

import jax
import jax.numpy as jnp
import optax

from stayfinite.frameworks.jax.plain.names_read import NamesRead
from stayfinite.guard.jax_steps import JaxSteps

SETTINGS = {"root": True}


def rooted(x):
    return jnp.sqrt(x) if SETTINGS["root"] else x


def squared(x):
    return x


distance = rooted


def loss_of(params, x):
    return jnp.sum(distance(jnp.sum((x * params) ** 2, axis=-1)))


def calls_of_optax(jit, params):
    """A compiled gradient, and an update outside."""
    tx, compute = optax.sgd(0.1), jit(jax.grad(loss_of))
    state = tx.init(params)
    while True:
        updates, state = tx.update(compute(params, (yield params)), state)
        params = optax.apply_updates(params, updates)


def own_update(jit, params):
    """A compiled step that writes its update itself."""
    step = jit(lambda params, x: params - 0.1 * jax.grad(loss_of)(params, x))
    while True:
        params = step(params, (yield params))


@pytest.fixture
def steps(tmp_path):
    found = JaxSteps(tmp_path, print)
    found.install()
    yield
    found.close()


def failure(training):
    """The incident of step 2, before which the names were changed."""
    next(training)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(4):
            training.send(jnp.ones((4, 3)).at[1].set(float(number != 2)))
            globals()["distance"] = squared
    return caught.value.incident


@pytest.fixture(autouse=True)
def names():
    before = dict(SETTINGS), distance
    yield
    SETTINGS.update(before[0])
    globals()["distance"] = before[1]


@pytest.mark.parametrize("loop", [calls_of_optax, own_update])
@pytest.mark.usefixtures("steps")
def test_a_name_that_was_bound_anew_is_read_as_it_was(loop):
    incident = failure(loop(jax.jit, jnp.ones(3)))
    assert (incident.where.step, incident.cause.name) == (2, "singular-gradient"), incident
    assert incident.origin.samples == (1,) and incident.fix.verified
    assert distance is squared


def test_a_guarded_step_is_explained_with_what_it_read(tmp_path):
    def guard(step):
        return stayfinite.guarded(step, keep=tmp_path)

    incident = failure(own_update(guard, jnp.ones(3)))
    assert incident.cause.name == "singular-gradient" and incident.fix.verified


@pytest.mark.parametrize("loop", [calls_of_optax, own_update])
@pytest.mark.usefixtures("steps")
def test_a_step_that_reads_what_was_changed_in_place_is_told(loop):
    training = loop(jax.jit, jnp.ones(3))
    next(training)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(4):
            training.send(jnp.ones((4, 3)).at[1].set(float(number != 2)))
            SETTINGS["root"] = False
    incident = caught.value.incident
    assert incident.cause.name == "not-reproduced"
    assert (incident.recurrence.kind, incident.recurrence.num_bad) == ("other-program", 5)
    assert not incident.trials and "transient" not in str(caught.value)


def test_another_shape_is_traced_with_the_present_names(tmp_path):
    step = stayfinite.guarded(jax.jit(lambda w, x: w - jax.grad(loss_of)(w, x)), keep=tmp_path)
    plain = jax.jit(lambda w, x: w - jax.grad(loss_of)(w, x))
    ends = []
    for function in (plain, step):
        globals()["distance"] = rooted
        w = function(jnp.ones(3), jnp.ones((4, 3)))
        globals()["distance"] = squared
        w = function(function(w, jnp.ones((2, 3))), jnp.ones((4, 3)))
        ends.append(w.tolist())
    step.check()
    assert ends[0] == ends[1]


def test_large_arrays_are_not_kept_alive():
    small, large, scale = jnp.ones(3), jnp.ones((256, 256)), 2.0

    def read():
        return scale * small.sum() + large.sum() + distance(large)

    names = NamesRead.of(read)
    small, large, scale = small + 1, large + 1, 3.0
    before = small, large, scale
    with names.bound():
        assert (small.tolist(), scale) == ([1.0] * 3, 2.0)
        assert large is before[1]
    assert (small, large, scale) == before
