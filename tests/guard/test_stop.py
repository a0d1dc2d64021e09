"""After a stop the model is what it was after the last good step, and it can be used."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest

import stayfinite
from tests import versions
from tests.guard import nets

BAD_STEP = 3
NOT_ON_TORCH = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras runs single steps only on PyTorch"
)
# Convolutions and recurrent layers are compared in `test_bit_equality.py`, too.
SLOW_IF_COMPILED = pytest.mark.slow_on("jax", "tensorflow")


def spoiled(data, step=BAD_STEP):
    """The data with one NaN in the batch of `step`."""
    x, y = data
    x = x.copy()
    x[step * nets.BATCH + 2] = np.nan
    return x, y


def stopped(model, data, keep, callbacks=None, **options):
    """Fit until the guard stops it; returns the error."""
    callbacks = callbacks or [stayfinite.Guard(keep=keep)]
    options = {"batch_size": nets.BATCH, "shuffle": False, "verbose": 0, **options}
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        model.fit(*data, callbacks=callbacks, **options)
    return caught.value


def after_good_steps(model, data, num_steps=BAD_STEP):
    """The state after exactly that many steps without a guard."""
    x, y = data
    samples = num_steps * nets.BATCH
    model.fit(x[:samples], y[:samples], batch_size=nets.BATCH, shuffle=False, verbose=0)
    return nets.state_of(model)


@functools.cache
def good_state():
    """The state of `nets.mlp` before `BAD_STEP`, for all tests that stop there."""
    return after_good_steps(nets.mlp(), nets.table())


@pytest.mark.parametrize(
    ("build", "data"),
    [
        pytest.param(nets.conv_net, nets.images, marks=SLOW_IF_COMPILED, id="conv"),
        pytest.param(nets.mlp, nets.table, id="mlp"),
        pytest.param(nets.recurrent, nets.series, marks=SLOW_IF_COMPILED, id="lstm"),
    ],
)
def test_state_is_that_of_the_last_good_step(build, data, tmp_path):
    expected = after_good_steps(build(), data())
    model = build()
    error = stopped(model, spoiled(data()), tmp_path)
    nets.assert_bit_equal(nets.state_of(model), expected)
    where = error.incident.where
    assert (where.step, where.epoch, where.batch) == (BAD_STEP, 0, BAD_STEP)
    assert error.incident.cause.name == "bad-input"
    assert error.incident.origin.samples == (2,)


@pytest.mark.parametrize("step", [0, 5], ids=["first", "last"])
@pytest.mark.usefixtures("without_trials")
def test_bad_step_is_read_before_the_validation_of_its_epoch(step, tmp_path):
    expected = after_good_steps(nets.mlp(), nets.table(), step) if step else None
    model = nets.mlp()
    error = stopped(
        model, spoiled(nets.table(), step), tmp_path, validation_data=nets.table(), epochs=2
    )
    where = error.incident.where
    assert (where.epoch, where.batch, error.incident.cause.name) == (0, step, "bad-input")
    if expected is not None:
        nets.assert_bit_equal(nets.state_of(model), expected)


def test_loss_that_is_finite_though_the_mean_that_keras_shows_overflows(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    # The mean is a sum over the samples of the epoch, divided: eight times 1e38 is too much for it.
    model.compile("sgd", lambda y, p: keras.ops.mean(p) + 1e38)
    before = nets.state_of(model)
    history = model.fit(
        *nets.table(),
        batch_size=nets.BATCH,
        verbose=0,
        callbacks=[stayfinite.Guard(keep=tmp_path)],
    )
    assert history.history["loss"] == [float("inf")]
    assert not np.array_equal(before[0], nets.state_of(model)[0])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"steps_per_execution": 4}, marks=NOT_ON_TORCH),
        {"run_eagerly": True},
        {"jit_compile": False},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.usefixtures("without_trials")
def test_state_is_that_of_the_last_good_step_however_it_is_run(options, tmp_path):
    step = 5
    expected = after_good_steps(nets.mlp(**options), nets.table(), step)
    model = nets.mlp(**options)
    error = stopped(model, spoiled(nets.table(), step), tmp_path)
    nets.assert_bit_equal(nets.state_of(model), expected)
    assert (error.incident.where.step, error.incident.where.batch) == (step, step)


@pytest.mark.usefixtures("without_trials")
def test_update_that_alone_is_bad_is_not_applied(tmp_path):
    class Broken(keras.optimizers.SGD):
        """Loss and gradients are finite; the third update is not."""

        def update_step(self, gradient, variable, learning_rate):
            bad = keras.ops.where(keras.ops.equal(self.iterations, 2), np.nan, 1.0)
            super().update_step(gradient * bad, variable, learning_rate)

    expected = after_good_steps(nets.mlp(Broken(0.01)), nets.table(), 2)
    model = nets.mlp(Broken(0.01))
    error = stopped(model, nets.table(), tmp_path)
    nets.assert_bit_equal(nets.state_of(model), expected)
    assert (error.incident.where.step, error.incident.where.phase) == (2, "update")


# Other statistics: `test_kept_infinities.py`.
@SLOW_IF_COMPILED
def test_moving_statistics_alone_can_stop_it(tmp_path):
    class Drift(keras.layers.Layer):
        """Its state grows out of range; nothing that is trained depends on it."""

        def build(self, shape):
            self.total = self.add_weight(shape=(), initializer="ones", trainable=False)

        def call(self, x):
            self.total.assign(self.total * 1e13)
            return x

    model = keras.Sequential([keras.Input((5,)), Drift(), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    error = stopped(model, nets.table(), tmp_path)
    # 1e13, 1e26, then past the end of float32.
    assert (error.incident.where.step, error.incident.where.phase) == (2, "statistics")
    assert float(model.layers[0].total.value) == pytest.approx(1e26, rel=1e-5)


@pytest.mark.parametrize("guard_first", [pytest.param(True, marks=SLOW_IF_COMPILED), False])
@pytest.mark.usefixtures("without_trials")
def test_a_checkpoint_never_holds_the_bad_step(guard_first, tmp_path):
    path = tmp_path / "checkpoint.weights.h5"
    checkpoint = keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
    guard = stayfinite.Guard(keep=tmp_path)
    callbacks = [guard, checkpoint] if guard_first else [checkpoint, guard]
    model = nets.mlp()
    stopped(model, spoiled(nets.table()), tmp_path, callbacks, validation_data=nets.table())
    if path.exists():
        loaded = nets.mlp()
        loaded.load_weights(path)
        for found, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
            assert np.array_equal(found, expected)


@pytest.mark.usefixtures("without_trials")
def test_callback_that_looks_at_the_model_changes_nothing(tmp_path):
    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.get_weights()

    expected = good_state()
    model = nets.mlp()
    callbacks = [Look(), stayfinite.Guard(keep=tmp_path)]
    error = stopped(model, spoiled(nets.table()), tmp_path, callbacks)
    nets.assert_bit_equal(nets.state_of(model), expected)
    assert error.incident.where.step == BAD_STEP


@pytest.mark.usefixtures("without_trials")
def test_step_epoch_and_batch_over_several_fits(tmp_path):
    model = nets.mlp()
    guard = stayfinite.Guard(keep=tmp_path)
    options = {"batch_size": nets.BATCH, "shuffle": False, "verbose": 0, "callbacks": [guard]}
    model.fit(*nets.table(), epochs=2, **options)
    assert model.evaluate(*nets.table(), verbose=0) < np.inf

    def batches():
        x, y = nets.table()
        for number in range(12):
            samples = slice(number % 6 * nets.BATCH, (number % 6 + 1) * nets.BATCH)
            yield x[samples] * (np.nan if number == 8 else 1.0), y[samples]

    with pytest.raises(stayfinite.NonFiniteError) as caught:
        options = {"shuffle": False, "verbose": 0, "callbacks": [guard]}
        model.fit(batches(), steps_per_epoch=4, epochs=3, **options)
    where = caught.value.incident.where
    assert (where.step, where.epoch, where.batch) == (12 + 8, 2, 0)


@pytest.mark.usefixtures("without_trials")
def test_single_batches_after_a_guarded_fit(tmp_path):
    model = nets.mlp()
    x, y = nets.table()
    model.fit(x, y, batch_size=nets.BATCH, verbose=0, callbacks=[stayfinite.Guard(keep=tmp_path)])
    model.train_on_batch(x[:8], y[:8])
    before = nets.state_of(model)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        model.train_on_batch(x[:8] * np.inf, y[:8])
    nets.assert_bit_equal(nets.state_of(model), before)
    where = caught.value.incident.where
    assert (where.step, where.epoch, where.batch) == (7, None, None)


@versions.NO_BATCHES_AFTER_A_FIT_THAT_RAISED
@pytest.mark.usefixtures("without_trials")
def test_single_batches_after_a_fit_that_was_left_by_an_exception(tmp_path):
    class Leave(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyError("the user's own")

    model = nets.mlp()
    x, y = nets.table()
    guard = stayfinite.Guard(keep=tmp_path)
    with pytest.raises(KeyError):
        model.fit(x, y, batch_size=nets.BATCH, verbose=0, callbacks=[guard, Leave()])
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        model.train_on_batch(x[:8] * np.nan, y[:8])
    assert caught.value.incident.where.step == 1


def test_model_is_usable_after_a_stop_and_still_guarded(tmp_path):
    model = nets.mlp()
    clean = nets.table()
    stopped(model, spoiled(clean), tmp_path)
    assert np.isfinite(model.evaluate(*clean, verbose=0))
    model.save(tmp_path / "after.keras")
    assert np.isfinite(keras.models.load_model(tmp_path / "after.keras").predict(clean[0])).all()

    twin = nets.mlp()
    after_good_steps(twin, clean)
    options = {"batch_size": nets.BATCH, "shuffle": False, "verbose": 0}
    twin.fit(*clean, **options)
    model.fit(*clean, callbacks=[stayfinite.Guard(keep=tmp_path)], **options)
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(twin))

    # The bad step counts as one that was made; then came six good ones.
    again = stopped(model, spoiled(clean, 1), tmp_path)
    assert again.incident.where.step == BAD_STEP + 1 + 6 + 1
    assert again.incident.kept.incident != ""


@pytest.mark.usefixtures("without_trials")
def test_what_is_kept_is_the_last_good_state(tmp_path):
    expected = good_state()
    model = nets.mlp()
    kept = stopped(model, spoiled(nets.table()), tmp_path).incident.kept
    assert kept.step == BAD_STEP - 1
    loaded = nets.mlp()
    loaded.optimizer.build(loaded.trainable_variables)
    loaded.load_weights(kept.weights)
    found, wanted = loaded.get_weights(), model.get_weights()
    assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))
    nets.assert_bit_equal(nets.state_of(model), expected)


# On TensorFlow a training without guard sees the later samples, too: `from_generator` prefetches,
# and shares the memory of an array that happens to be aligned.
@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="tf.data shares the buffer")
@versions.READS_BUFFERS_LATE
@pytest.mark.usefixtures("without_trials")
def test_a_buffer_that_is_filled_again_is_kept_as_it_was(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    buffer, target = np.empty((8, 4), "float32"), np.zeros((8, 1), "float32")

    def batches():
        for step in range(6):
            buffer[:] = step
            if step == 3:
                buffer[2] = np.nan
            yield buffer, target

    guard = stayfinite.Guard(keep=tmp_path)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        model.fit(batches(), steps_per_epoch=6, shuffle=False, verbose=0, callbacks=[guard])
    incident = caught.value.incident
    assert (incident.cause.name, incident.where.step) == ("bad-input", 3)
    assert incident.origin.samples == (2,)


# What an optimizer skips on each backend: `test_manners.py`.
@SLOW_IF_COMPILED
def test_loss_scale_that_collapses_is_told_and_one_that_is_found_is_not(tmp_path):
    """From 32 it takes five halvings to come to 1; four are a search."""

    def model_in_half():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, dtype="mixed_float16")])
        inner = keras.optimizers.SGD(0.01)
        optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**5)
        # The length of a vector has no derivative at 0.
        model.compile(
            optimizer,
            lambda y, p: keras.ops.mean(y) + keras.ops.sqrt(keras.ops.mean(keras.ops.square(p))),
        )
        return model

    x, y = nets.table()
    options = {"batch_size": nets.BATCH, "shuffle": False, "verbose": 0}
    x[: 4 * nets.BATCH] = 0.0
    model = model_in_half()
    model.fit(x, y, callbacks=[stayfinite.Guard(keep=tmp_path)], **options)
    assert float(model.optimizer.dynamic_scale) == 2.0

    x[:] = 0.0
    model = model_in_half()
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        model.fit(x, y, callbacks=[stayfinite.Guard(keep=tmp_path)], **options)
    incident = caught.value.incident
    assert (incident.where.step, incident.where.phase) == (5, "backward")
    assert incident.cause.name == "singular-gradient"
    assert any("the loss scale has fallen to 1" in line for line in incident.because)
    assert float(model.optimizer.dynamic_scale) == 1.0


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="the flags of JAX arrive later")
@pytest.mark.usefixtures("without_trials")
def test_prediction_at_the_end_of_an_epoch_before_the_flags_arrive(tmp_path, monkeypatch):
    from stayfinite.frameworks.jax import guard

    class Predict(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.predict(nets.table()[0], verbose=0)  # donates the state

    class Late(guard.LateScalar):
        def __init__(self, array):
            super().__init__(array)
            self.is_ready = lambda: False

    monkeypatch.setattr(guard, "LateScalar", Late)
    expected = after_good_steps(nets.mlp(), nets.table())
    model = nets.mlp()
    callbacks = [Predict(), stayfinite.Guard(keep=tmp_path)]
    error = stopped(model, spoiled(nets.table()), tmp_path, callbacks)
    assert error.incident.where.step == BAD_STEP
    nets.assert_bit_equal(nets.state_of(model), expected)
