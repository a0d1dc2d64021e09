"""Heavy states are checked in windows of steps: what is seen, saved and left is always finite."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.frameworks import heavy
from stayfinite.notebook.extension import NotebookSession
from tests.guard import nets

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="each step is checked before its update on PyTorch"
)
BAD = 9
NUM_BATCHES = nets.ROWS // nets.BATCH


@pytest.fixture(autouse=True)
def every_state_is_heavy(monkeypatch):
    monkeypatch.setattr(heavy, "MIN_STATE_BYTES", 0)
    # One window for the whole training.
    monkeypatch.setattr(heavy, "SHARE", 0.0)


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
    """Ends a training without guard before step `BAD`."""

    step = 0

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        self.model.stop_training = self.step == BAD


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
    assert model.train_function.heavy is not None
    assert found == expected
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))


@pytest.mark.parametrize("looks", [pytest.param(False, marks=pytest.mark.slow), True])
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


def test_where_every_training_is_guarded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = NotebookSession()
    session.install()
    try:
        with pytest.raises(stayfinite.NonFiniteError) as caught:
            fit(nets.mlp(), data(bad=BAD), [])
    finally:
        session.close()
    assert caught.value.incident.where.step == BAD
