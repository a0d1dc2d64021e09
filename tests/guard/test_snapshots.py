"""When a copy of the state is kept for later comparison, and that it is one."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.frameworks.snapshots import MAX_BYTES, USUAL, Snapshots, Spacing
from stayfinite.frameworks.state import State
from stayfinite.guard import bad_steps
from stayfinite.guard.callback import Guard
from stayfinite.guard.registry import REGISTRY


def take(kept, step, *, first_of_epoch=True, num_bytes=8):
    made = []

    def copy():
        made.append(step)
        return State((step,), (), (), ())

    kept.take(step, first_of_epoch=first_of_epoch, num_bytes=lambda: num_bytes, copy=copy)
    return bool(made)


def test_first_step_and_epochs_some_steps_apart():
    kept = Snapshots()
    assert take(kept, 0, first_of_epoch=False)
    assert not take(kept, USUAL.min_steps - 1)
    assert not take(kept, USUAL.min_steps, first_of_epoch=False)
    assert take(kept, USUAL.min_steps)
    assert take(kept, 5 * USUAL.min_steps)
    assert [s.step for s in kept.all()] == [5 * USUAL.min_steps, USUAL.min_steps]


def test_training_that_may_go_back_has_more(tmp_path):
    x = np.random.default_rng(0).normal(size=(160, 3)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    guard = Guard("rollback", keep=tmp_path)
    model.fit(x, x[:, :1], batch_size=8, epochs=6, verbose=0, callbacks=[guard])
    kept = REGISTRY.watch_of(model, tmp_path, None).recorder.snapshots.all()
    assert [s.step for s in kept] == [100, 80, 60, 40]


def test_large_model_is_never_copied():
    kept = Snapshots()
    assert not take(kept, 0, num_bytes=MAX_BYTES + 1)
    assert not take(kept, 1000)
    assert kept.all() == []


def test_state_is_that_before_the_first_step_whatever_comes_later(tmp_path, monkeypatch):
    monkeypatch.setattr(bad_steps, "USUAL", Spacing(4, 4, 2))
    x = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    before = [weight.copy() for weight in model.get_weights()]
    model.fit(x, x[:, :1], batch_size=8, epochs=3, verbose=0, callbacks=[Guard(keep=tmp_path)])
    first = REGISTRY.watch_of(model, tmp_path, None).recorder.snapshots.all()
    assert [s.step for s in first] == [8, 4]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.set_weights(before)
    model.compile(keras.optimizers.Adam(0.1), "mse")
    guard = Guard(keep=tmp_path)
    model.fit(x, x[:, :1], batch_size=8, epochs=1, verbose=0, callbacks=[guard])
    (only,) = REGISTRY.watch_of(model, tmp_path, None).recorder.snapshots.all()
    for weight, kept in zip(before, only.state.trainable, strict=True):
        np.testing.assert_array_equal(weight, np.asarray(kept))
    assert not np.array_equal(before[0], model.get_weights()[0])


@pytest.mark.parametrize("num_steps", [3])
def test_loop_without_fit_has_one(tmp_path, num_steps):
    x = np.ones((8, 3), "float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    watch = REGISTRY.watch_of(model, tmp_path, None)
    watch.arm()
    for _ in range(num_steps):
        model.train_on_batch(x, x[:, :1])
    assert [s.step for s in watch.recorder.snapshots.all()] == [0]


def test_metrics_that_the_first_step_makes_do_not_hide_the_growth_since(tmp_path):
    x = np.random.default_rng(0).normal(100.0, 10.0, size=(160, 2)).astype("float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
    with pytest.raises(stayfinite.NonFiniteError) as stop:
        model.fit(x, x[:, :1], batch_size=8, verbose=0, callbacks=[Guard(keep=tmp_path)])
    incident = stop.value.incident
    assert incident.cause.name == "divergence"
    assert f"in {incident.where.step} steps" in incident.cause.message
    assert incident.fix.verified


def test_metric_that_a_second_compile_adds_does_not_hide_the_cause(tmp_path):
    """The kept state has fewer metrics than the state of the failing step."""
    x = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    options = {"batch_size": 8, "shuffle": False, "verbose": 0}
    model.fit(x, x[:, :1], callbacks=[Guard(keep=tmp_path)], **options)
    model.compile(keras.optimizers.SGD(0.001), "mse", metrics=["mae"])
    bad = x.copy()
    bad[13] = np.nan
    with pytest.raises(stayfinite.NonFiniteError) as stop:
        model.fit(bad, x[:, :1], callbacks=[Guard(keep=tmp_path)], **options)
    assert stop.value.incident.cause.name == "bad-input"
    assert stop.value.incident.origin.samples == (5,)
