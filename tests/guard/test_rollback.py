"""The policy "rollback": training goes on from an earlier state, with what the trials proved."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.frameworks import snapshots
from stayfinite.frameworks.batch import order_without
from stayfinite.guard import bad_steps
from tests.guard import nets

pytestmark = pytest.mark.filterwarnings("ignore:.*non-finite:RuntimeWarning")
BAD, SAMPLE = 3, 2


def fitted(model, data, added, **options):
    keras.utils.set_random_seed(1)
    return model.fit(*data, callbacks=added, verbose=0, **options)


@pytest.mark.parametrize(
    ("build", "data"),
    [
        pytest.param(
            nets.conv_net, nets.images, marks=pytest.mark.slow_on("jax", "tensorflow"), id="conv"
        ),
        pytest.param(nets.mlp, nets.table, id="mlp"),
    ],
)
def test_sample_at_fault_is_left_out_of_its_batch(build, data, tmp_path):
    options = {"batch_size": nets.BATCH, "shuffle": False, "epochs": 2}
    x, y = data()
    rows = np.arange(nets.ROWS)
    batch = slice(BAD * nets.BATCH, (BAD + 1) * nets.BATCH)
    rows[batch] = rows[batch][order_without([SAMPLE], nets.BATCH)]
    plain = build()
    expected = fitted(plain, (x[rows], y[rows]), [], validation_data=(x, y), **options)
    spoiled = x.copy()
    spoiled[BAD * nets.BATCH + SAMPLE] = np.nan
    model = build()
    guard = stayfinite.Guard("rollback", keep=tmp_path)
    history = fitted(model, (spoiled, y), [guard], validation_data=(x, y), **options)
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))
    assert history.history == expected.history
    made = [(one.epoch, one.batch, one.resumed_from) for one in history.interventions]
    assert made == [(0, BAD, BAD), (1, BAD, BAD + nets.ROWS // nets.BATCH)]
    assert "without sample 2" in guard.interventions[0].action


def test_samples_with_bad_inputs_and_others_with_bad_targets_are_left_out(tmp_path):
    x, y = nets.table()
    first = BAD * nets.BATCH
    x[first + 2], y[first + 5] = np.nan, np.nan
    model = nets.mlp()
    guard = stayfinite.Guard("rollback", keep=tmp_path)
    history = fitted(model, (x, y), [guard], batch_size=nets.BATCH, shuffle=False)
    (made,) = history.interventions
    assert made.cause == "bad-input" and "without samples 2, 5" in made.action
    (path,) = tmp_path.glob("incident-*/incident.json")
    incident = json.loads(path.read_text())
    assert incident["origin"]["samples"] == [2]  # of the input
    fix = incident["fix"]
    assert fix["verified"] and fix["text"].startswith("leave samples 2, 5 of this batch out")


def linear_data():
    x = 3 * np.random.default_rng(0).normal(size=(256, 5)).astype("float32")
    return x, x.sum(axis=1)


@pytest.mark.slow_on("jax", "tensorflow")
@pytest.mark.parametrize("scheduled", [False, True], ids=["variable", "schedule"])
def test_too_large_a_learning_rate_is_lowered_from_the_state_before_the_growth(scheduled, tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    rate = keras.optimizers.schedules.ExponentialDecay(0.3, 10**6, 0.5) if scheduled else 0.3
    model.compile(keras.optimizers.SGD(rate, momentum=0.1), "mse", metrics=["mae"])
    first = model.get_weights()
    guard = stayfinite.Guard("rollback", keep=tmp_path)
    options = {"batch_size": 4, "shuffle": False}
    x, y = linear_data()
    history = fitted(model, (x, y), [guard], epochs=3, **options)
    (made,) = guard.interventions
    assert (made.cause, made.resumed_from) == ("divergence", 0)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.03, rel=1e-3)
    losses = history.history["loss"]
    assert np.isfinite(losses).all() and losses[-1] < 1.0
    # The steps before it were taken back.
    assert int(model.optimizer.iterations) == 3 * 64 - made.step
    if not scheduled:
        # As if the training had begun with the bad batch, and with the lower rate.
        plain = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
        rate = float(model.optimizer.learning_rate)
        plain.compile(keras.optimizers.SGD(rate, momentum=0.1), "mse", metrics=["mae"])
        plain.set_weights(first)
        begun = fitted(plain, (x[4 * made.step :], y[4 * made.step :]), [], **options).history
        further = fitted(plain, (x, y), [], epochs=2, **options).history
        nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))
        assert history.history == {name: begun[name] + further[name] for name in begun}


@pytest.mark.slow_on("jax", "tensorflow")
def test_a_rate_that_a_callback_raises_in_each_epoch_is_held(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.003), "mse")

    def rate(epoch, now):
        return 0.001 if epoch == 5 else 0.003 if epoch < 2 else 40.0

    added = [
        stayfinite.Guard("rollback", keep=tmp_path),
        keras.callbacks.LearningRateScheduler(rate),
    ]
    history = fitted(model, linear_data(), added, batch_size=8, shuffle=False, epochs=6)
    (made,) = history.interventions
    line = rate.__code__.co_firstlineno + 1
    assert f"do not let `rate` (test_rollback.py:{line}) raise the learning rate" in made.action
    # The rate of an epoch is logged at its end; the schedule is followed below the limit.
    assert history.history["learning_rate"] == pytest.approx([0.003] * 5 + [0.001], rel=1e-6)
    assert history.history["loss"][-1] < 0.1


@pytest.mark.slow_on("jax", "tensorflow")
def test_a_rate_that_rises_is_held_where_the_newest_good_state_had_it(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    rate = keras.optimizers.schedules.ExponentialDecay(1e-6, 32, 30.0)
    model.compile(keras.optimizers.SGD(rate), "mse")
    guard = stayfinite.Guard("rollback", keep=tmp_path)
    history = fitted(model, linear_data(), [guard], batch_size=8, shuffle=False, epochs=10)
    (made,) = history.interventions
    held = 1e-6 * 30.0 ** (made.resumed_from / 32)
    assert held > 0.01
    assert float(model.optimizer.learning_rate) == pytest.approx(held, rel=1e-5)


def of_exponents(targets, outputs):
    return keras.ops.mean(keras.ops.exp(outputs - targets) + keras.ops.exp(targets - outputs))


@pytest.mark.slow_on("jax", "tensorflow")
def test_squares_of_grown_gradients_lower_the_rate_as_grown_weights_do(tmp_path):
    x, y = linear_data()
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.9), of_exponents)
    guard = stayfinite.Guard("rollback", keep=tmp_path)
    with pytest.warns(RuntimeWarning, match=r"was non-finite \(bad-update, loss \d.*undone"):
        history = fitted(model, (0.3 * x, 0.3 * y), [guard], batch_size=8, shuffle=False)
    made = guard.interventions
    assert [one.cause for one in made] == ["bad-update"]
    assert made[0].resumed_from == 0
    assert made[0].action.startswith(
        f"steps 0 to {made[0].step - 1} are undone, and training goes on"
    )
    assert "learning rate" in made[0].action
    assert history.history["loss"][0] < 1e3


@pytest.mark.slow_on("jax", "tensorflow")
@pytest.mark.parametrize(("epoch", "high", "resumed_from"), [(3, 40.0, 24), (2, 5.0, 16)])
def test_the_newest_state_is_taken_that_was_before_the_growth(
    epoch, high, resumed_from, tmp_path, monkeypatch
):
    spacing = snapshots.Spacing(min_steps=8, max_steps=100, num_kept=2)
    monkeypatch.setattr(bad_steps, "TO_GO_BACK", spacing)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.003), "mse")
    x, y = linear_data()

    def rate(number, now):
        return high if number == epoch else now

    added = [
        stayfinite.Guard("rollback", keep=tmp_path),
        keras.callbacks.LearningRateScheduler(rate),
    ]
    history = fitted(model, (x, y), added, batch_size=32, shuffle=False, epochs=5)
    (made,) = history.interventions
    assert made.cause == "divergence"
    # Two are kept, of steps 16 and 24, and the bad step is after both.
    assert made.step > 24 and made.resumed_from == resumed_from
    assert history.history["loss"][-1] < history.history["loss"][0]
