"""The guard around a hand-written training loop: the promises that `fit` is given."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest

import stayfinite
from tests.guard import nets
from tests.guard.loops import WrittenByHand

NUM_STEPS = 6
BAD_STEP = 3


def batches(bad_step=None):
    x, y = nets.table()
    for number in range(NUM_STEPS):
        samples = slice(number * nets.BATCH, (number + 1) * nets.BATCH)
        part = x[samples].copy()
        if number == bad_step:
            part[2, 1] = np.nan
        yield part, y[samples].astype("float32")[:, None]


def trained(loop, bad_step=None, num_steps=NUM_STEPS):
    for _, batch in zip(range(num_steps), batches(bad_step), strict=False):
        loop.step(*batch)
    return loop


@pytest.fixture
def guard(tmp_path):
    return functools.partial(stayfinite.guarded, keep=tmp_path)


@pytest.mark.parametrize("compiled", [True, False])
def test_same_bits_with_and_without_guard(guard, compiled):
    plain = trained(WrittenByHand(compiled=compiled or keras.backend.backend() == "jax"))
    guarded = trained(WrittenByHand(guard, compiled=compiled))
    guarded.guarded.check()
    nets.assert_bit_equal(guarded.arrays(), plain.arrays())


@pytest.mark.parametrize("compiled", [True, False])
def test_bad_step_is_never_applied(guard, compiled):
    plain = WrittenByHand(compiled=compiled or keras.backend.backend() == "jax")
    expected = trained(plain, num_steps=BAD_STEP).arrays()
    loop = WrittenByHand(guard, compiled=compiled)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        trained(loop, BAD_STEP)
        loop.guarded.check()
    incident = caught.value.incident
    assert (incident.cause.name, incident.cause.certainty) == ("bad-input", "confirmed")
    assert (incident.where.step, incident.where.epoch, incident.where.batch) == (3, None, None)
    assert incident.origin.samples == (2,)
    nets.assert_bit_equal(loop.arrays(), expected)
    found = [keras.ops.convert_to_numpy(v) for v in loop.model.trainable_variables]
    nets.assert_bit_equal(found, expected[: len(found)])


def test_the_line_and_its_fix(guard):
    def distance(y_true, y_pred):
        difference = keras.ops.where(y_true > 1, y_pred * 0, y_pred)
        return keras.ops.mean(keras.ops.sqrt(keras.ops.sum(difference * difference, axis=-1)))

    loop = WrittenByHand(guard, loss=distance)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        trained(loop)
        loop.guarded.check()
    incident = caught.value.incident
    assert incident.cause.name == "singular-gradient", str(caught.value)
    assert incident.origin.function.endswith("distance")
    assert "sqrt" in incident.source_line
    assert incident.fix.verified


@pytest.mark.slow_on("tensorflow")
@pytest.mark.usefixtures("without_trials")
def test_training_goes_on_after_a_bad_step(guard):
    loop = WrittenByHand(guard)
    with pytest.raises(stayfinite.NonFiniteError):
        trained(loop, BAD_STEP)
        loop.guarded.check()
    trained(loop)
    loop.guarded.check()
    assert all(np.isfinite(array).all() for array in loop.arrays())


def test_wrong_optimizer_is_one_line():
    with pytest.raises(stayfinite.UsageError, match="optimizer='adam'") as caught:
        stayfinite.guarded(lambda x: x, nets.mlp(), "adam")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only a JAX loop passes its state")
def test_wrong_state_is_one_line(guard):
    loop = WrittenByHand(guard)
    with pytest.raises(stayfinite.UsageError, match="the state of a guarded step") as caught:
        loop.guarded(([], []), next(batches()))
    assert "\n" not in str(caught.value)
