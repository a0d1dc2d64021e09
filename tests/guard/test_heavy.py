"""Heavy states are checked in windows of steps: what is seen, saved and left is always finite."""

from __future__ import annotations

import errno
import os

import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.frameworks import heavy, host_copies
from stayfinite.guard import policies
from stayfinite.notebook.extension import NotebookSession
from tests import versions
from tests.guard import nets

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="each step is checked before its update on PyTorch"
)
BAD = 9
NUM_BATCHES = nets.ROWS // nets.BATCH


@pytest.fixture(autouse=True)
def every_state_is_heavy(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(heavy, "MIN_STATE_BYTES", 0)
    # One window for the whole training.
    monkeypatch.setattr(heavy, "SHARE", 0.0)
    folder = str(tmp_path_factory.getbasetemp())
    monkeypatch.setattr(host_copies, "folders_with_room", lambda num_bytes: [folder])
    monkeypatch.setattr(host_copies, "fits_in_memory", lambda num_bytes, is_on_host: False)


class Rate(keras.callbacks.Callback):
    """Sets the learning rate between two steps; to `bad` after step `BAD - 1`."""

    def __init__(self, bad=None):
        super().__init__()
        self.bad = bad
        self.step = 0

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.bad is None or self.step < BAD:
            self.model.optimizer.learning_rate = 0.01 / (1 + self.step % 4)
        elif self.step == BAD:
            self.model.optimizer.learning_rate = self.bad


class Look(keras.callbacks.Callback):
    """Reads and evaluates the model after each step, and saves it to `folder`."""

    def __init__(self, folder=None):
        super().__init__()
        self.folder = folder

    def on_train_batch_end(self, batch, logs=None):
        assert all(np.isfinite(array).all() for array in self.model.get_weights())
        assert np.isfinite(self.model.predict_on_batch(nets.table()[0][:8])).all()
        if self.folder is not None:
            self.model.save_weights(self.folder / "seen.weights.h5")


class Evaluate(keras.callbacks.Callback):
    """Evaluates the model in the middle of an epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            x, y = nets.table()
            self.model.evaluate(x[:8], y[:8], verbose=0)


def data(bad=None):
    """The rows of two epochs as a generator; with `bad`, its step has a NaN."""
    x, y = nets.table()
    for step in range(2 * NUM_BATCHES):
        rows = slice(step % NUM_BATCHES * nets.BATCH, (step % NUM_BATCHES + 1) * nets.BATCH)
        batch = x[rows].copy()
        if step == bad:
            batch[2, 1] = np.nan
        yield batch, y[rows]


def fit(model, batches, callbacks, epochs=2):
    keras.utils.set_random_seed(1)
    options = {
        "steps_per_epoch": NUM_BATCHES,
        "epochs": epochs,
        "verbose": 0,
        "shuffle": False,
    }
    return model.fit(batches, callbacks=callbacks, **options).history


class StopBefore(keras.callbacks.Callback):
    """Ends a training without guard before a step."""

    def __init__(self, step=BAD):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        self.model.stop_training = self.left == 0


def without_rate(model):
    """The state without the learning rate, which the callback sets after a bad step, too."""
    rate = model.optimizer.learning_rate.path
    own = [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]
    kept = [variable.path != rate for variable in own]
    return [array for array, keep in zip(nets.state_of(model), kept, strict=True) if keep]


def test_healthy_training_has_the_same_bits(tmp_path):
    plain, model = nets.mlp(), nets.mlp()
    expected = fit(plain, data(), [Rate()])
    found = fit(model, data(), [Rate(), stayfinite.Guard(keep=tmp_path)])
    assert model.train_function.heavy.is_snapshot_in_file
    assert found == expected
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))


def test_disk_that_becomes_full_during_the_training(monkeypatch, tmp_path):
    monkeypatch.setattr(heavy, "SHARE", 1e9)  # a snapshot before each step
    plain, model, num_left, pwrite = nets.mlp(), nets.mlp(), 40, os.pwrite

    def until_it_is_full(*args):
        nonlocal num_left
        num_left -= 1
        if num_left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(*args)

    monkeypatch.setattr(os, "pwrite", until_it_is_full)
    expected = fit(plain, data(), [Rate()])
    with pytest.warns(RuntimeWarning, match="in memory: No space left on device") as told:
        found = fit(model, data(), [Rate(), stayfinite.Guard(keep=tmp_path)])
    assert len(told) == 1
    assert not model.train_function.heavy.is_snapshot_in_file
    assert found == expected
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))


@pytest.mark.parametrize("looks", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.usefixtures("without_trials")
def test_state_before_a_bad_batch_is_made_again(looks, tmp_path):
    plain, model = nets.mlp(), nets.mlp()
    fit(plain, data(), [Rate(), StopBefore()])
    callbacks = [Rate(), *([Look(tmp_path)] if looks else []), stayfinite.Guard(keep=tmp_path)]
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        fit(model, data(BAD), callbacks)
    incident = caught.value.incident
    where = incident.where
    assert (where.step, where.epoch, where.batch) == (BAD, 1, BAD - NUM_BATCHES)
    assert (incident.cause.name, incident.origin.samples) == ("bad-input", (2,))
    nets.assert_bit_equal(without_rate(model), without_rate(plain))


def test_update_that_is_bad_beside_a_finite_loss_is_never_seen(tmp_path):
    plain, model = nets.mlp(), nets.mlp()
    fit(plain, data(), [Rate(np.inf), StopBefore()])
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        fit(model, data(), [Rate(np.inf), Look(), stayfinite.Guard(keep=tmp_path)])
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (BAD, "bad-update")
    nets.assert_bit_equal(without_rate(model), without_rate(plain))


# The rule is tested without a framework in `test_heavy_steps.py`.
@pytest.mark.slow
def test_mean_of_the_loss_that_overflows_is_no_bad_step(tmp_path):
    def built():
        model = nets.mlp()
        model.compile("adam", lambda y, p: keras.ops.mean(p) * 1e-3 + 2e38)
        return model

    plain, model = built(), built()
    expected = fit(plain, data(), [])
    assert not np.isfinite(expected["loss"][0])
    assert fit(model, data(), [stayfinite.Guard(keep=tmp_path)]) == expected
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))


@pytest.mark.usefixtures("without_trials")
def test_where_every_training_is_guarded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = NotebookSession()
    session.install()
    try:
        with pytest.raises(stayfinite.NonFiniteError) as caught:
            fit(nets.mlp(), data(bad=BAD), [Evaluate()])
    finally:
        session.close()
    where = caught.value.incident.where
    assert (where.step, where.epoch, where.batch) == (BAD, 1, BAD - NUM_BATCHES)


def overflowing(target, prediction):
    """Finite, unlike its sum over two steps."""
    mean = keras.ops.mean
    return mean(keras.ops.square(target - prediction[:, 0])) + mean(prediction) * 1e-3 + 2e38


@pytest.mark.slow_on("tensorflow")
@pytest.mark.usefixtures("without_trials")
def test_bad_step_after_a_mean_of_the_loss_that_overflows(tmp_path):
    model = nets.mlp()
    model.compile("adam", overflowing)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        fit(model, data(BAD), [stayfinite.Guard(keep=tmp_path)])
    assert caught.value.incident.where.step == BAD


def test_model_compiled_again_with_the_same_optimizer(tmp_path):
    def trained(guards):
        model = nets.mlp()
        fit(model, data(), guards, epochs=1)
        model.compile(model.optimizer, "mae")
        return fit(model, data(), guards, epochs=1), model

    (expected, plain), (found, model) = trained([]), trained([stayfinite.Guard(keep=tmp_path)])
    assert found == expected
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))


@pytest.mark.usefixtures("without_trials")
def test_two_models_that_share_weights(tmp_path):
    def trained(guards, callbacks, bad=None):
        keras.utils.set_random_seed(0)
        shared = keras.layers.Dense(4, "relu")
        model, other = (
            keras.Sequential([keras.Input((5,)), shared, keras.layers.Dense(1)]) for _ in range(2)
        )
        model.compile("adam", "mse")
        other.compile(keras.optimizers.SGD(0.1), "mse")
        fit(model, data(), guards, epochs=1)
        fit(other, data(), [], epochs=1)
        try:
            fit(model, data(bad), [*guards, *callbacks], epochs=1)
        except stayfinite.NonFiniteError:
            assert bad is not None
        return nets.state_of(model)

    found = trained([stayfinite.Guard(keep=tmp_path)], [], bad=2)
    nets.assert_bit_equal(found, trained([], [StopBefore(2)]))


@pytest.mark.usefixtures("without_trials")
def test_large_frozen_weights_are_not_in_the_snapshot(tmp_path, monkeypatch):
    module = f"stayfinite.frameworks.{keras.backend.backend()}.guard_heavy"
    monkeypatch.setattr(f"{module}.MAX_WRITTEN_BYTES", 8)  # all but single numbers are large

    def frozen():
        model = nets.mlp()
        model.layers[-1].trainable = False
        model.compile(keras.optimizers.Adam(1e-2), loss="mse")
        return model

    plain, model = frozen(), frozen()
    fit(plain, data(), [Rate(), StopBefore()])
    with pytest.raises(stayfinite.NonFiniteError):
        fit(model, data(BAD), [Rate(), stayfinite.Guard(keep=tmp_path)])
    nets.assert_bit_equal(without_rate(model), without_rate(plain))

    fit(model, data(), [stayfinite.Guard(keep=tmp_path)])
    # On JAX, the step of Keras 3.8 returns frozen weights as new arrays.
    is_kept = versions.IS_KERAS_3_8 and versions.ON_JAX
    kernel = 0 if is_kept else model.layers[-1].get_weights()[0].nbytes
    metrics = 4 * len(model.metrics_variables)
    state = sum(array.nbytes for array in nets.state_of(model))
    assert 0 < model.train_function.heavy.snapshot_bytes <= state + metrics - kernel


@pytest.mark.filterwarnings("ignore:.*non-finite:RuntimeWarning")
@pytest.mark.slow_on("tensorflow")
def test_steps_that_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(policies, "MAX_EXPLAINED_SKIPS", 0)
    bad = (3, 4, NUM_BATCHES - 1)
    x, y = nets.table()
    is_bad = np.isin(np.arange(len(x)) // nets.BATCH, bad)
    spoiled = np.where(is_bad[:, None], np.float32(np.nan), x)

    def trained(x, y, callbacks):
        model = nets.mlp()
        settings = {"batch_size": nets.BATCH, "verbose": 0, "shuffle": False}
        return model, model.fit(x, y, callbacks=callbacks, **settings).history

    guard = stayfinite.Guard("skip", keep=tmp_path)
    plain, expected = trained(x[~is_bad], y[~is_bad], [])
    model, found = trained(spoiled, y, [guard])
    assert [made.batch for made in guard.interventions] == list(bad)
    assert found == expected
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))
