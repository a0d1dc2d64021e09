"""What the guard on TensorFlow does by itself: undoing, bounds, functions, the end of the data."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import stayfinite
from stayfinite.errors import UsageError
from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.tensorflow import bounds, guard
from tests.guard import nets

optimizers = keras.optimizers


class Stop(Exception):
    """Raised by `on_bad` in these tests, with what it was given."""


def guarded(model):
    """The model's train function under guard, with `Stop` in the place of an explanation."""

    def on_bad(state, step, rerun):
        raise Stop(state, step, rerun)

    return guard.attach(KerasModel(model), Recorder(), on_bad)


def batch(value=None):
    x, y = nets.table()
    x, y = x[:8].copy(), y[:8].astype("float32")[:, None]
    if value is not None:
        x[2, 1] = value
    return x, y


def plain(optimizer=None, **options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile(optimizer or optimizers.Adam(1e-2), "mse", **options)
    return model


def stopped(model, data):
    """Make one bad step after a good one: the error, and the state between the two."""
    model.train_function = guarded(model)
    model.train_on_batch(*batch())
    before = nets.state_of(model)
    with pytest.raises(Stop) as caught:
        model.train_on_batch(*data)
    return caught.value, before


MODES = {
    "graph": {"jit_compile": False},
    "xla": {"jit_compile": True},
    "eager": {"run_eagerly": True, "jit_compile": False},
}


@pytest.mark.parametrize("mode", MODES)
def test_state_is_handed_over_and_the_step_is_bad_again(mode):
    model = plain(**MODES[mode])
    error, before = stopped(model, batch(np.nan))
    state, step, rerun = error.args
    nets.assert_bit_equal(nets.state_of(model), before)
    nets.assert_bit_equal([np.array(v) for group in state.groups[:3] for v in group], before)
    assert step == 1
    assert rerun(batch(np.inf))
    assert not rerun(batch())
    nets.assert_bit_equal(nets.state_of(model), before)


@pytest.mark.parametrize("mode", MODES)
def test_infinite_gradient_that_clipping_hides_is_bad(mode):
    def steep(y_true, y_pred):
        return keras.ops.mean(
            keras.ops.sqrt(keras.ops.abs(y_pred - keras.ops.stop_gradient(y_pred)))
        )

    model = plain(optimizers.SGD(0.1, clipvalue=0.5), **MODES[mode])
    model.compile(model.optimizer, steep, **MODES[mode])
    before = nets.state_of(model)
    model.train_function = guarded(model)
    with pytest.raises(Stop):
        model.train_on_batch(*batch())
    nets.assert_bit_equal(model.get_weights(), before[:2])


@pytest.mark.parametrize("mode", MODES)
def test_update_that_overflows_on_finite_gradients_is_undone(mode):
    model = plain(optimizers.SGD(1e38), **MODES[mode])
    error, before = stopped_at_once(model)
    nets.assert_bit_equal(nets.state_of(model)[:2], before[:2])
    assert error.args[1] == 0


def stopped_at_once(model):
    model.train_function = guarded(model)
    before = nets.state_of(model)
    x, y = batch()
    with pytest.raises(Stop) as caught:
        model.train_on_batch(x * 100, y * 100)
    return caught.value, before


class Teacher(keras.Model):
    """Writes to a weight after the update, inside a function of its own."""

    def __init__(self):
        super().__init__()
        self.student = keras.layers.Dense(1)
        self.average = self.add_weight(shape=(5, 1), trainable=False, name="average")

    def call(self, x):
        return self.student(x)

    @tf.function
    def follow(self):
        self.average.assign(self.average * 0.5 + self.student.kernel * 0.5)

    def train_step(self, data):
        logs = super().train_step(data)
        self.follow()
        return logs


def test_state_written_after_the_update_inside_a_function_is_frozen_too():
    keras.utils.set_random_seed(0)
    model = Teacher()
    model.compile(optimizers.Adam(1e-2), "mse", jit_compile=False)
    model(np.zeros((1, 5)))
    # A function that was traced before cannot be seen into.
    model.follow()
    _, before = stopped(model, batch(np.nan))
    nets.assert_bit_equal(nets.state_of(model), before)
    model.train_on_batch(*batch())
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


class TwoSteps(keras.Model):
    """Two optimizers: the first has made its update when the second meets the NaN."""

    def __init__(self):
        super().__init__()
        self.first, self.second = keras.layers.Dense(1), keras.layers.Dense(1)
        self.other_optimizer = optimizers.Adam(1e-2)

    def build(self, shape):
        self.first.build(shape)
        self.second.build(shape)
        self.built = True

    def call(self, x):
        return self.first(x) + self.second(x)

    def train_step(self, data):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        for layer, optimizer, of in (
            (self.first, self.optimizer, tf.zeros_like(x)),
            (self.second, self.other_optimizer, x),
        ):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(layer(of) - y))
            weights = layer.trainable_weights
            optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss}


@pytest.mark.parametrize("mode", MODES)
def test_first_of_two_updates_is_undone_with_the_second(mode):
    keras.utils.set_random_seed(0)
    model = TwoSteps()
    model.compile(optimizers.Adam(1e-2), **MODES[mode])
    model.build((None, 5))
    _, before = stopped(model, batch(np.nan))
    nets.assert_bit_equal(nets.state_of(model), before)
    assert int(model.other_optimizer.iterations) == 1


def test_several_steps_a_call_end_with_the_data():
    model = plain(steps_per_execution=4)
    model.train_function = guarded(model)
    x, y = nets.table()
    model.fit(x[:40], y[:40], batch_size=8, verbose=0)
    assert int(model.optimizer.iterations) == 5


class TwoTerms(keras.Sequential):
    """Its loss is a sum of two numbers, and nothing but a metric reads it."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            out = self(x, training=True)
            loss = tf.reduce_mean((out - y) ** 2) + tf.reduce_mean(tf.abs(out))
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        self._loss_tracker.update_state(loss)
        return {"loss": self._loss_tracker.result()}


def two_terms():
    model = TwoTerms([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile("adam")
    x, y = nets.table()
    return model, tf.data.Dataset.from_tensor_slices((x, y.astype("float32")[:, None])).batch(8)


def several_steps_a_call():
    """On batches whose size the data set leaves open."""
    layers = [keras.layers.Dense(8, "swish"), keras.layers.Dropout(0.3), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((7,)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, steps_per_execution=3)
    rng = np.random.default_rng(13)
    x, y = rng.normal(size=(130, 7)).astype("float32"), rng.integers(0, 2, 130)
    return model, tf.data.Dataset.from_tensor_slices((x, y, 1.0 + 2 * y)).batch(10)


@pytest.mark.parametrize("build", [two_terms, several_steps_a_call])
def test_last_digits_are_those_without_a_guard(build):
    made = []
    for guard_it in (False, True):
        keras.utils.set_random_seed(13)
        model, data = build()
        if guard_it:
            model.train_function = guarded(model)
        history = model.fit(data, epochs=2, shuffle=False, verbose=0).history
        made.append((history, nets.state_of(model)))
    assert made[0][0] == made[1][0]
    nets.assert_bit_equal(made[0][1], made[1][1])


def test_eager_step_holds_no_copy_where_the_update_is_provably_finite(monkeypatch):
    from stayfinite.frameworks.tensorflow import guard_eager

    def careful(*args):
        raise AssertionError("a copy was made")

    model = plain(run_eagerly=True)
    model.train_function = guarded(model)
    model.train_on_batch(*batch())
    model.train_function.begin_epoch()
    monkeypatch.setattr(guard_eager.GuardedEagerStep, "_careful", careful)
    model.train_on_batch(*batch())
    assert int(model.optimizer.iterations) == 2


@pytest.mark.parametrize(
    ("optimizer", "provable"),
    [
        (optimizers.Adam(1e-3), True),
        (optimizers.AdamW(1e-3), True),
        (optimizers.SGD(0.1, momentum=0.9, nesterov=True), True),
        (optimizers.RMSprop(1e-3), True),
        (optimizers.LossScaleOptimizer(optimizers.Adam(1e-3)), True),
        (optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)), True),
        (optimizers.Adam(1e-3, epsilon=0.0), False),
        (optimizers.Adam(1e-3, beta_1=1.0), False),
        (optimizers.RMSprop(1e-3, centered=True), False),
        (optimizers.SGD(lambda: 0.1), False),
        (optimizers.Adafactor(1e-3), False),
        (type("Mine", (optimizers.SGD,), {})(0.1), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_which_optimizers_are_provably_finite(optimizer, provable):
    model = plain(optimizer)
    optimizer.build(model.trainable_variables)
    assert bounds.is_provable(optimizer, model.trainable_variables) == provable


def test_state_out_of_bounds_is_seen():
    model = plain()
    model.optimizer.build(model.trainable_variables)
    variables = model.trainable_variables
    assert bool(bounds.is_bounded(model.optimizer, variables))
    for value in (1e20, np.nan):
        variables[0].assign(np.full((5, 1), value))
        assert not bool(bounds.is_bounded(model.optimizer, variables))


def test_several_replicas_are_refused_in_one_line():
    class Several:
        num_replicas_in_sync = 2

    model = plain()
    model._distribute_strategy = Several()
    with pytest.raises(UsageError, match=r"tf\.distribute") as caught:
        guarded(model)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(keras.optimizers, "ScheduleFreeAdamW"), reason="not in this Keras")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_optimizer_that_begins_with_the_weights_of_a_model_built_by_its_first_step(
    jit_compile, tmp_path
):
    trained = []
    for callbacks in ([], [stayfinite.Guard(keep=tmp_path)]):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dense(10)])
        optimizer = keras.optimizers.ScheduleFreeAdamW(0.01)
        model.compile(optimizer, loss="mse", jit_compile=jit_compile)
        model.fit(np.ones((8, 5)), np.zeros((8, 10)), epochs=2, verbose=0, callbacks=callbacks)
        trained.append(model.get_weights())
    for bare, guarded in zip(*trained, strict=True):
        np.testing.assert_array_equal(bare, guarded)


HIDDEN = {"batch_size": 8, "shuffle": False, "verbose": 0}


def with_loss_scale(layer, scale):
    """A network whose first layer makes NaN of NaN, which the fused `relu` hides from the loss."""
    keras.utils.set_random_seed(0)
    layers = [keras.Input((5,)), *layer, keras.layers.Dense(4, "relu"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    optimizer = optimizers.LossScaleOptimizer(optimizers.Adam(1e-2), initial_scale=scale)
    model.compile(optimizer, loss="mse", jit_compile=False)
    return model


def spoiled_table():
    x = np.random.default_rng(0).normal(size=(48, 5)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    x[20, 1] = np.nan
    return x, y


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_batch_that_is_not_finite_is_told_though_its_step_is_skipped(steps_per_execution, tmp_path):
    model = with_loss_scale([], 2.0**15)
    model.steps_per_execution = steps_per_execution
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        model.fit(*spoiled_table(), **HIDDEN, callbacks=[stayfinite.Guard(keep=tmp_path)])
    assert (caught.value.incident.where.step, caught.value.incident.cause.name) == (2, "bad-input")


def test_skip_on_a_batch_whose_missing_values_are_masked_changes_nothing(tmp_path):
    """The scale overflows on every batch, also on the one with a NaN that is replaced."""

    def fill(x):
        return keras.ops.where(keras.ops.isnan(x), 0.0, x)

    plain, guarded = (with_loss_scale([keras.layers.Lambda(fill)], 2.0**127) for _ in range(2))
    x, y = spoiled_table()
    plain.fit(x, y * 1e6, **HIDDEN)
    guarded.fit(x, y * 1e6, **HIDDEN, callbacks=[stayfinite.Guard(keep=tmp_path)])
    assert float(plain.optimizer.dynamic_scale) == 2.0 ** (127 - 6)
    for one, other in zip(plain.optimizer.variables, guarded.optimizer.variables, strict=True):
        assert one.numpy().tobytes() == other.numpy().tobytes()
    for one, other in zip(plain.get_weights(), guarded.get_weights(), strict=True):
        assert one.tobytes() == other.tobytes()
