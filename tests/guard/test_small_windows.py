"""Small states on a CPU: windows in the epochs of `fit`, a flag in each step outside of it."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import stayfinite
from tests.guard import nets

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="each step is checked before its update on PyTorch"
)
NUM_BATCHES = nets.ROWS // nets.BATCH


def batch(step, bad=None):
    x, y = nets.table()
    rows = slice(step % NUM_BATCHES * nets.BATCH, (step % NUM_BATCHES + 1) * nets.BATCH)
    inputs = x[rows].copy()
    if step == bad:
        inputs[2, 1] = np.nan
    return inputs, y[rows]


def trained(callbacks, bad=None):
    """An epoch of `fit`, two batches, and another epoch; up to the step `bad`."""
    model = nets.mlp()

    def fit(first):
        num_steps = NUM_BATCHES
        if bad is not None and first <= bad < first + NUM_BATCHES and not callbacks:
            num_steps = bad - first
        # TensorFlow and Keras 3.8 draw more batches than there are steps.
        data = (batch(step, bad) for step in range(first, first + num_steps + 1))
        options = {"steps_per_epoch": num_steps, "verbose": 0, "shuffle": False}
        model.fit(data, callbacks=callbacks, **options)

    fit(0)
    for step in (NUM_BATCHES, NUM_BATCHES + 1):
        if step == bad and not callbacks:
            return model
        model.train_on_batch(*batch(step, bad))
    fit(NUM_BATCHES + 2)
    return model


def test_healthy_training_has_the_same_bits(tmp_path):
    model = trained([stayfinite.Guard(keep=tmp_path)])
    assert model.train_function.heavy.has_window
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(trained([])))


@pytest.mark.parametrize(
    "bad", [NUM_BATCHES + 1, pytest.param(NUM_BATCHES + 5, marks=pytest.mark.slow)]
)
@pytest.mark.usefixtures("without_trials")
def test_bad_step_after_steps_of_both_kinds(bad, tmp_path, monkeypatch):
    seen = []
    plain = nets.mlp
    monkeypatch.setattr(nets, "mlp", lambda: seen.append(plain()) or seen[-1])
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        trained([stayfinite.Guard(keep=tmp_path)], bad)
    assert caught.value.incident.where.step == bad
    nets.assert_bit_equal(nets.state_of(seen[0]), nets.state_of(trained([], bad)))


@pytest.mark.usefixtures("without_trials")
def test_bad_step_after_several_series(tmp_path):
    x, y = (np.tile(array, (8, *[1] * (array.ndim - 1))) for array in nets.table())
    bad = 41
    x[bad * nets.BATCH + 3, 1] = np.nan

    class Halved(keras.callbacks.Callback):
        """Writes to the state between two steps."""

        def on_train_batch_begin(self, batch, logs=None):
            if batch == 20:
                self.model.optimizer.learning_rate = 0.5 * float(self.model.optimizer.learning_rate)

    def fit(model, num_steps, *callbacks):
        rows = slice(num_steps * nets.BATCH)
        options = {"batch_size": nets.BATCH, "verbose": 0, "shuffle": False}
        model.fit(x[rows], y[rows], callbacks=[Halved(), *callbacks], **options)

    model, plain = nets.mlp(), nets.mlp()
    fit(plain, bad)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        fit(model, len(x) // nets.BATCH, stayfinite.Guard(keep=tmp_path))
    where = caught.value.incident.where
    assert (where.step, where.batch) == (bad, bad)
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other frameworks have random keys as state"
)
def test_step_that_would_not_be_the_same_again_has_the_flag(tmp_path):
    import tensorflow as tf

    class Noise(keras.layers.Layer):
        def call(self, inputs):
            return inputs + tf.random.normal(tf.shape(inputs))

    model = keras.Sequential([keras.layers.Dense(4), Noise(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(*nets.table(), verbose=0, callbacks=[stayfinite.Guard(keep=tmp_path)])
    assert model.train_function.heavy is None


def test_state_that_is_looked_at_in_each_step_has_the_flag(tmp_path):
    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.get_weights()

    def fitted(callbacks):
        model = nets.mlp()
        model.fit(
            *nets.table(), batch_size=1, shuffle=False, verbose=0, epochs=2, callbacks=callbacks
        )
        return model

    model = fitted([Look(), stayfinite.Guard(keep=tmp_path)])
    assert model.train_function.heavy is None
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(fitted([])))


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="no other step takes its state")
def test_interrupt_inside_a_step_that_has_taken_the_state(tmp_path):
    model = nets.mlp()

    class Interrupting(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            function = model.train_function
            if batch == 2:
                made = function._plain

                def interrupted(state, batches):
                    made(state, batches)
                    raise KeyboardInterrupt

                function._plain = interrupted

    x, y = nets.table()
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            *(x, y),
            batch_size=nets.BATCH,
            verbose=0,
            callbacks=[stayfinite.Guard(keep=tmp_path), Interrupting()],
        )
