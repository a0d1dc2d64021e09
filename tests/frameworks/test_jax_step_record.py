"""What a guarded step of JAX says of itself in one array."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stayfinite.frameworks.jax import private
from stayfinite.frameworks.jax.plain.step_record import (
    LateRecord,
    extended,
    new_record,
    sentinel_of,
)


@pytest.fixture
def after():
    """Gives the record after a step with a loss, compiled."""

    @jax.jit
    def made(record, loss):
        return extended(record, sentinel_of(record) + jnp.asarray([1, 0], "int32"), loss)

    return made


@pytest.mark.parametrize("num_steps", [3, 16, 41])
def test_a_record_has_the_losses_of_the_last_steps(after, num_steps):
    record = new_record()
    for number in range(num_steps):
        record = after(record, jnp.float32(number))
    late, last = LateRecord(record), min(num_steps, 16)
    assert late.losses(last) == list(range(num_steps))[-last:]
    assert int(late) == -1


def test_a_loss_that_is_not_finite_is_kept_and_a_missing_one_is_none(after):
    record = after(after(after(new_record(), jnp.float32(np.nan)), None), jnp.bfloat16(-np.inf))
    first, missing, last = LateRecord(record).losses(3)
    assert np.isnan(first)
    assert (missing, last) == (None, -np.inf)


def test_a_finite_loss_in_double_precision_stays_finite(after):
    with private.float64_enabled():
        record = new_record()
        for loss in (1e300, np.inf):
            record = after(record, jnp.asarray(loss, "float64"))
        large, infinite = LateRecord(record).losses(2)
    assert np.isfinite(large)
    assert infinite == np.inf
