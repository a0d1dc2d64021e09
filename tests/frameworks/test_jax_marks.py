"""Which gradients and slots a guarded step of JAX reads; large arrays are judged rightly."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from stayfinite.frameworks.jax import guard_step
from stayfinite.frameworks.jax.plain.pure_step import PureStep


def read_by(optimizer):
    """How many gradients are read of a step with this optimizer, and which slots."""

    def step(params, state, x):
        loss, gradients = jax.value_and_grad(lambda p: jnp.sum(p["w"] * x + p["b"] * x))(params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    params = {"w": jnp.ones((3, 2)), "b": jnp.zeros(2)}
    pure = PureStep(step, None)
    pure.arguments((params, optimizer.init(params), jnp.ones(2)), {})
    read = pure.arrays_read()
    names = [[*pure.weights, *pure.others][position] for position in read.state]
    assert {"params/w", "params/b"} <= set(names)
    slots = {name.split("/")[-2] for name in names if name.startswith("state/")}
    return len(read.gradients), slots


@pytest.mark.parametrize(
    ("optimizer", "gradients", "slots"),
    [
        (optax.sgd(0.1), 0, set()),
        (optax.sgd(0.1, momentum=0.9), 0, set()),
        # The second moment is a divisor: an infinite one leaves the weight as it is.
        (optax.adam(0.1), 0, {"nu"}),
        (optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(0.1)), 0, {"nu"}),
        # The sign of an infinity is finite, and the moment is infinite.
        (optax.lion(0.1), 0, {"mu"}),
        (optax.chain(optax.clip(1.0), optax.sgd(0.1)), 2, set()),
        (optax.chain(optax.zero_nans(), optax.sgd(0.1)), 2, set()),
    ],
)
def test_what_cannot_be_bad_without_a_mark_is_not_read(optimizer, gradients, slots):
    found = read_by(optimizer)
    assert found[0] == gradients
    assert found[1] - {"0"} == slots


@pytest.mark.parametrize("shape", [(128, 160), (3, 3, 64, 64), (20000, 3), (3, 20000), (40000,)])
def test_large_arrays_are_judged_by_fewer_numbers(shape):
    largest = np.full(shape, np.finfo("float32").max)
    for bad in (None, np.nan, np.inf, -np.inf):
        array = largest.copy()
        array.flat[17] = largest.flat[0] if bad is None else bad
        array.flat[18] = -array.flat[17]
        shortened = guard_step.shortened(jnp.asarray(array))
        assert bool(guard_step.all_finite(shortened)) is (bad is None)
