"""The flag inside the step, seen from its own arithmetic."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stayfinite.frameworks.jax import guard_step as sentinel
from stayfinite.frameworks.jax.keras_library import KERAS


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"a": jnp.ones(3), "b": [jnp.zeros((2, 2))]}, True),
        ({"a": jnp.ones(3), "b": [jnp.asarray(np.inf)]}, False),
        ([jnp.asarray([1.0, np.nan], "bfloat16")], False),
        ([jnp.asarray([1.0, -np.inf], "float16")], False),
        ([jnp.asarray([1, 2]), jnp.asarray(True)], True),
        ([jnp.zeros((0, 3)), None], True),
        ([], True),
    ],
)
def test_all_finite(tree, expected):
    assert bool(sentinel.all_finite(tree)) is expected
    assert bool(jax.jit(sentinel.all_finite)(tree)) is expected


def train_step(state, data):
    weights, statistics, slots, metrics = state
    logs = {"loss": jnp.sum(data)}
    return logs, ([w + data for w in weights], statistics, slots, [m + 1 for m in metrics])


@pytest.mark.parametrize("compiled", [True, False])
def test_state_freezes_at_the_last_good_step_and_stays_so(compiled):
    step = sentinel.guarded(train_step, KERAS)
    step = jax.jit(step) if compiled else step
    state = ([jnp.zeros(2)], [], [], [jnp.asarray(0.0)], sentinel.new_sentinel())
    reports = []
    for value in (1.0, 2.0, np.nan, 4.0, np.inf):
        (_, first_bad), state = step(state, jnp.full(2, value))
        reports.append(int(first_bad))
    assert reports == [-1, -1, 2, 2, 2]
    assert state[0][0].tolist() == [3.0, 3.0]
    assert float(state[3][0]) == 5.0
    assert state[4].tolist() == [5, 2]
