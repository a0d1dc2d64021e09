"""Calls of a `tf.function` of the user's that trains: their data, and the series of their steps."""

from __future__ import annotations

import copy
import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

import stayfinite
from stayfinite.frameworks.tensorflow.call_arguments import CallReader, call_arguments
from stayfinite.guard.keras_steps import guard_steps

NUM_STEPS = 40
BAD_STEP = 23


def user_step(*args, **keywords):
    """Stands for a function of the user's."""
    return args, keywords


X, Y = tf.ones((2, 3)), np.zeros(2, "float32")
CALLS = [
    ((X, Y), {}),
    ((X,), {"y": Y}),
    (((X, Y), True), {}),
    (({"b": X, "a": Y}, [X, "name"]), {"weight": None}),
    ((X, tf.constant("text"), 0.5), {}),
    ((X, tf.Variable(1.0)), {}),
]


@pytest.mark.parametrize(("args", "keywords"), CALLS)
def test_read_twice_a_call_has_the_arrays_and_the_form_of_its_arguments(args, keywords):
    reader = CallReader(user_step)
    expected = call_arguments(user_step, args, keywords)
    for _ in range(2):
        call = reader.read(args, keywords)
        assert [id(array) for array in call.arrays] == [id(array) for array in expected.arrays]
        assert call.form.names == expected.form.names
        made = call.call(user_step)
        flat, given = (keras.tree.flatten(each) for each in (made, (args, keywords)))
        assert all(one is other for one, other in zip(flat, given, strict=True))
        assert made[1].keys() == keywords.keys()


def test_calls_that_differ_in_a_constant_have_forms_of_their_own():
    reader = CallReader(user_step)
    calls = [reader.read((X, flag), {}) for flag in (True, False, 1)]
    assert [call.call(user_step)[0][1] for call in calls] == [True, False, 1]


class Loop:
    """A loop whose function also evaluates. What it only reports is always NaN."""

    def __init__(self):
        keras.utils.set_random_seed(1)
        self.model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        self.optimizer = keras.optimizers.Adam(0.01)
        self.step = tf.function(self.one)
        self.losses = []
        self.metric, self.reported = keras.metrics.Mean(), keras.Variable(0.0)

    def one(self, x, y, training):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.model(x, training=training) - y) ** 2)
        if training:
            weights = self.model.trainable_variables
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            of_nothing = tf.reduce_mean(tf.zeros(0))
            self.metric.update_state(of_nothing)
            self.reported.assign(of_nothing)
        return loss

    def run(self, bad_step=None):
        draw = np.random.default_rng(0).normal
        x, y = np.empty((4, 3), "float32"), tf.ones((4, 2))
        for number in range(NUM_STEPS):
            # The same array each time: a step of a series has to be kept as a copy of it.
            x[...] = draw(size=x.shape) if number != bad_step else np.nan
            self.losses.append(float(self.step(x, y, True)))
            if number % 7 == 2:
                self.losses.append(float(self.step(x, y, False)))
        return self

    def arrays(self):
        return [variable.numpy() for variable in (*self.model.variables, *self.optimizer.variables)]


class MethodLoop(Loop):
    """The same with a method under `tf.function`, of which each object has one of its own."""

    def __init__(self):
        super().__init__()
        del self.step

    @tf.function
    def step(self, x, y, training):
        return self.one(x, y, training)


@pytest.fixture
def guarding(tmp_path):
    undo = guard_steps("tensorflow", tmp_path)
    yield
    undo()


def test_a_function_that_also_evaluates_computes_the_same_bits_under_guard(request):
    plain = Loop().run()
    request.getfixturevalue("guarding")
    guarded = Loop().run()
    assert guarded.losses == plain.losses
    for one, other in zip(guarded.arrays(), plain.arrays(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("guarding")
def test_a_bad_step_in_a_series_is_told_at_the_next_call_and_leaves_the_state():
    loop = Loop()
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        loop.run(BAD_STEP)
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (BAD_STEP, "bad-input")
    # The evaluation after the bad step was not made.
    assert len(loop.losses) == BAD_STEP + len(range(2, BAD_STEP, 7)) + 1
    assert all(np.isfinite(array).all() for array in loop.arrays())
    assert int(loop.optimizer.iterations.numpy()) == BAD_STEP


@pytest.mark.usefixtures("guarding")
def test_a_moving_statistic_that_becomes_nan_is_bad():
    layer = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(2)])
    optimizer = keras.optimizers.SGD(0.01)

    @tf.function
    def step(x, factor):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(x) ** 2)
        weights = model.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)
        layer.moving_variance.assign(factor * layer.moving_variance)

    step(X, tf.constant(1.0))
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        step(X, tf.constant(np.nan, "float32"))
        step(X, tf.constant(1.0))
    assert caught.value.incident.where.step == 1
    np.testing.assert_array_equal(layer.moving_variance.numpy(), 1.0)


@pytest.mark.usefixtures("guarding")
def test_an_eager_step_that_computes_in_numpy_is_made_again():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    optimizer = keras.optimizers.SGD(0.01)
    draw = np.random.default_rng(0)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(3):
            rows = draw.normal(size=(4, 3))
            outputs = []
            rows[2] = np.nan if number == 2 else 1.0
            with tf.GradientTape() as tape:
                noise = draw.normal(size=(4, 3))
                outputs.append(model(tf.convert_to_tensor(rows, tf.float32)))
                outputs.append(model((rows + noise).astype("float32")))
                loss = tf.reduce_mean(tf.concat(outputs, 0) ** 2)
            weights = model.trainable_variables
            optimizer.apply(tape.gradient(loss, weights), weights)
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (2, "bad-input")
    assert (incident.origin.tensor, incident.origin.samples) == ("rows", (2,))


@pytest.mark.usefixtures("guarding")
@pytest.mark.parametrize("compiled", ["both", "gradients", "update"])
def test_a_step_whose_gradients_are_applied_by_another_function_is_explained_as_one(compiled):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    optimizer = keras.optimizers.SGD(0.01)
    weights = model.trainable_variables

    def gradients(rows):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(rows) ** 2)
        return tape.gradient(loss, weights)

    def update(found):
        optimizer.apply(found, weights)

    compute = gradients if compiled == "update" else tf.function(gradients)
    apply = tf.function(update)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(4):
            rows = tf.constant([[1.0, 2.0, np.nan if number == 2 else 3.0]])
            found = compute(rows)
            if compiled == "gradients":
                optimizer.apply(found, weights)
            else:
                apply(found)
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (2, "bad-input")
    assert incident.origin.tensor == "rows"


@pytest.mark.usefixtures("guarding")
@pytest.mark.parametrize("kind", [Loop, MethodLoop])
def test_a_loop_that_holds_its_function_is_deleted_with_it(kind):
    loop = kind()
    for _ in range(3):
        loop.step(X, tf.ones((2, 2)), True)
    copied = copy.copy(kind.step if kind is MethodLoop else loop.step)
    assert getattr(copied, "python_function", None) is not None
    held = weakref.ref(loop)
    del loop, copied
    gc.collect()
    assert held() is None


class Accumulating:
    """Gradients that one function adds to variables, and another applies."""

    def __init__(self):
        self.model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        self.optimizer = keras.optimizers.SGD(0.01)
        self.sums = [tf.Variable(tf.zeros(v.shape)) for v in self.model.trainable_variables]

    @tf.function
    def accumulate(self, rows):
        with tf.GradientTape() as tape:
            loss = tf.constant(0.0)
            for row in tf.unstack(rows):
                loss += tf.sqrt(
                    tf.reduce_sum(tf.square(row)) * tf.reduce_sum(self.model.weights[0] ** 2)
                )
        gradients = tape.gradient(loss, self.model.trainable_variables)
        for total, gradient in zip(self.sums, gradients, strict=True):
            if gradient is not None:
                total.assign_add(gradient)

    @tf.function
    def update(self):
        self.optimizer.apply(self.sums, self.model.trainable_variables)
        for total in self.sums:
            total.assign(tf.zeros_like(total))


@pytest.mark.usefixtures("guarding")
@pytest.mark.parametrize("bad_step", [0, 2])
def test_gradients_added_up_by_one_function_and_applied_by_another_are_one_step(bad_step):
    loop = Accumulating()
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(8):
            rows = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]])
            loop.accumulate(rows * float(number != 2 * bad_step))
            if number % 2:
                loop.update()
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (bad_step, "singular-gradient")
    # The line of the method, not that of the code that AutoGraph makes of it.
    assert incident.origin.file.endswith("test_tensorflow_loop_calls.py")
    assert all(np.isfinite(v.numpy()).all() for v in loop.model.weights)


@pytest.mark.usefixtures("guarding")
@pytest.mark.parametrize("one_by_one", [True, False])
def test_an_update_in_a_function_of_its_own_is_explained_by_the_loop_around(one_by_one):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
    optimizer = keras.optimizers.SGD(0.01)
    weights = model.trainable_variables

    def compute(*rows):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(*rows) ** 2)
        return tape.gradient(loss, weights)

    def update(gradients):
        for pair in zip(gradients, weights, strict=True) if one_by_one else ():
            optimizer.apply_gradients([pair])
        if not one_by_one:
            optimizer.apply_gradients(zip(gradients, weights, strict=True))

    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for number in range(4):
            rows = tf.constant([[1.0, 2.0, np.nan if number == 2 else 3.0]])
            update(compute(rows))
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (2, "bad-input")
    assert incident.origin.tensor == "rows"
