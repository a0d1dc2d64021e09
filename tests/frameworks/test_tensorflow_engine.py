"""The step on TensorFlow op by op, in float64, and the model as it was afterwards."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from stayfinite.frameworks.change import (
    Arrays,
    ClipNorm,
    Compiled,
    LearningRate,
    OnBatch,
    Unchanged,
    WiderDtype,
)
from stayfinite.frameworks.keras import batches
from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.recording.recording import Enough, Recording
from stayfinite.frameworks.recording.step import EagerStep
from stayfinite.frameworks.tensorflow.engine import TensorFlowEngine
from stayfinite.frameworks.tensorflow.state import numpy_of, state_of
from tests import versions
from tests.guard import nets


def built(net, loss="mse", optimizer=None):
    model = keras.Sequential(net)
    model.compile(optimizer or keras.optimizers.Adam(1e-2), loss)
    return model


def embedding():
    keras.utils.set_random_seed(0)
    return built([keras.Input((3,), dtype="int32"), layers.Embedding(9, 4), layers.GRU(3)])


def dense():
    keras.utils.set_random_seed(0)
    return built([keras.Input((5,)), layers.Dense(4, "tanh"), layers.Dense(1)])


def words(samples=8):
    return np.random.default_rng(0).integers(0, 9, (samples, 3)).astype("int32"), np.ones(
        (samples, 3)
    )


NETS = {
    "dense": (dense, nets.table),
    "normalised, with dropout": (nets.mlp, nets.table),
    "conv": (nets.conv_net, nets.images),
    "lstm": (nets.recurrent, nets.series),
    "embedding": (embedding, words),
}


def step_of(model, data):
    """The step after one healthy step, so that all variables are there."""
    batch = tuple(array[:8] for array in data)
    model.train_on_batch(*batch)
    subject = KerasModel(model)
    named = batches.batch_of(subject, batch, numpy_of)
    return EagerStep.of(TensorFlowEngine(subject), state_of(subject), named)


def everything(model):
    return [np.array(v) for v in state_of(KerasModel(model)).values]


def recorded(model, data, visit=lambda number, tensor: None):
    """An engine's recording, its result, and the arrays of all values."""
    subject = KerasModel(model)
    engine = TensorFlowEngine(subject)
    arrays = {}

    def keep(number, tensor):
        arrays[number] = engine.numpy(tensor)
        visit(number, tensor)

    recording = Recording(TensorFlowEngine.run.__code__, keep, engine.numpy)
    result = engine.run(
        state_of(subject), batches.batch_of(subject, data, numpy_of).map(engine.tensor), recording
    )
    return recording, result, arrays


@functools.cache
def case(name):
    """A model with data of one batch, and its step, which leaves the model as it is."""
    build, data = NETS[name]
    model, batch = build(), tuple(array[:8] for array in data())
    return model, batch, step_of(model, batch)


@pytest.mark.parametrize("name", NETS)
def test_replay_is_the_step_as_keras_makes_it(name):
    model, batch, step = case(name)
    before = everything(model)
    outcome = step.run(Unchanged())
    nets.assert_bit_equal(everything(model), before)
    assert not tf.config.functions_run_eagerly()

    twin = NETS[name][0]()
    twin.run_eagerly = True
    for _ in range(2):
        twin.reset_metrics()  # before Keras 3.15, the loss is the mean over all calls
        logs = twin.train_on_batch(*batch, return_dict=True)
    assert outcome.loss == pytest.approx(logs["loss"], rel=1e-5)
    new = step.trace.new_state
    found = step.fetch(new.values())
    for own, other in zip(model.trainable_variables, twin.trainable_variables, strict=True):
        assert np.allclose(found[new[own.path]], other.numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_float64_is_the_same_step_more_exactly(name):
    model, _, step = case(name)
    before = everything(model)
    plain, wide = step.run(Unchanged()), step.run(WiderDtype())
    nets.assert_bit_equal(everything(model), before)
    assert wide.loss == pytest.approx(plain.loss, rel=1e-4)
    assert wide.loss != plain.loss
    for path, gradient in plain.gradients.items():
        assert wide.gradients[path].dtype == np.float64
        assert np.allclose(wide.gradients[path], gradient, rtol=1e-2, atol=1e-5), path


def test_what_overflows_in_float32_does_not_in_float64():
    def far(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_pred * 1e25)) * 1e-30

    step = step_of(built([keras.Input((5,)), layers.Dense(1)], far), nets.table())
    assert step.run(Unchanged()).loss == np.inf
    assert 0 < step.run(WiderDtype()).loss < np.inf


def test_the_bits_of_a_number_are_those_of_its_own_dtype_in_float64():
    def magnitude(y_true, y_pred):
        return tf.reduce_mean(tf.where(tf.bitcast(y_pred, tf.int32) < 0, -y_pred, y_pred))

    step = step_of(built([keras.Input((5,)), layers.Dense(3)], magnitude), nets.table())
    assert step.run(WiderDtype()).loss == pytest.approx(step.run(Unchanged()).loss, rel=1e-4)


@pytest.mark.parametrize(
    "draw",
    [
        tf.random.normal,
        functools.partial(tf.random.stateless_uniform, seed=(1, 2)),
        lambda shape: tf.nn.dropout(tf.ones(shape), 0.5),
    ],
    ids=["normal", "stateless_uniform", "dropout"],
)
def test_random_numbers_are_the_same_in_float64(draw):
    def with_noise(y_true, y_pred):
        return tf.reduce_mean(tf.square(y_pred - draw(tf.shape(y_pred))))

    step = step_of(built([keras.Input((5,)), layers.Dense(3)], with_noise), nets.table())
    assert step.run(WiderDtype()).loss == pytest.approx(step.run(Unchanged()).loss, rel=1e-5)


def test_trials_leave_model_and_learning_rate_alone():
    model = built(
        [keras.Input((5,)), layers.Dense(1)],
        optimizer=keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.9)),
    )
    step = step_of(model, nets.table())
    before = everything(model)
    rate = float(model.optimizer.learning_rate)
    assert step.run(LearningRate(0.1)).finite
    assert step.run(ClipNorm(1.0)).finite
    assert step.run(LearningRate(1e39)).bad_state
    nets.assert_bit_equal(everything(model), before)
    assert float(model.optimizer.learning_rate) == rate


def test_variables_are_values_that_change_their_number():
    model = dense()
    step = step_of(model, nets.table())
    trace = step.trace
    path = model.trainable_variables[0].path
    kernel = next(leaf for leaf in trace.leaves.values() if leaf.name == path)
    assert kernel.role == "weight"
    readers = [op.name for op in trace.consumers[kernel.value]]
    assert readers[0] == "matmul"
    update = trace.producer[trace.new_state[kernel.name]]
    assert (update.name, update.phase, update.operands[0]) == ("subtract", "update", kernel.value)
    arrays = step.fetch([*update.operands, *update.results])
    old, change, new = (arrays[v] for v in (*update.operands, *update.results))
    assert np.array_equal(new, old - change)


def test_derivative_knows_its_forward_op_and_its_place():
    def root(y_true, y_pred):
        return keras.ops.mean(keras.ops.sqrt(keras.ops.square(y_pred)))

    step = step_of(built([keras.Input((5,)), layers.Dense(1)], root), nets.table())
    trace = step.trace
    forward = next(op for op in trace.ops if op.name == "sqrt" and op.phase == "forward")
    backward = [op for op in trace.ops if op.differentiates == forward.index]
    assert [op.name for op in backward] == ["sqrt_grad"]
    assert backward[0].phase == "backward"
    assert backward[0].span == forward.span
    assert forward.span is not None
    assert forward.span.function.endswith("root")


def test_custom_gradient_and_function_of_the_users_own_are_seen_inside():
    @tf.custom_gradient
    def clipped(x):
        return tf.identity(x), lambda upstream: tf.clip_by_value(upstream, -1e-3, 1e-3)

    @tf.function
    def loss(y_true, y_pred):
        return tf.reduce_mean(tf.math.log1p(tf.square(clipped(y_pred))))

    model = built([keras.Input((5,)), layers.Dense(1)], lambda a, b: loss(a, b))
    ops = step_of(model, nets.table()).trace.ops
    assert "log1p" in [op.name for op in ops if op.phase == "forward"]
    assert "minimum" in [op.name for op in ops if op.phase == "backward"]


def test_samples_are_followed_through_the_step():
    step = step_of(dense(), nets.table())
    trace = step.trace
    products = [op for op in trace.ops if op.name == "matmul" and op.phase == "forward"]
    assert [trace.values[op.results[0]].batch_axis for op in products] == [0, 0]
    assert trace.num_samples == 8


def test_run_can_be_ended_early_also_in_the_backward_pass():
    model = dense()
    data = tuple(array[:8] for array in nets.table())
    model.train_on_batch(*data)
    recording, _, _ = recorded(model, data)
    last = next(op.results[0] for op in reversed(recording.ops) if op.backward)
    before = everything(model)

    def stop(number, tensor):
        if number == last:
            raise Enough

    with pytest.raises(Enough):
        recorded(model, data, stop)
    nets.assert_bit_equal(everything(model), before)
    again, result, _ = recorded(model, data)
    assert [op.name for op in again.ops] == [op.name for op in recording.ops]
    assert result.outputs.loss is not None


def test_marks_name_loss_gradients_and_new_state():
    model = nets.mlp()
    data = tuple(array[:8] for array in nets.table())
    model.train_on_batch(*data)
    _, result, arrays = recorded(model, data)
    outputs = result.outputs
    assert arrays[outputs.loss] == pytest.approx(float(result.loss))
    assert list(outputs.gradients) == [v.path for v in model.trainable_variables]
    moving = [v.path for v in model.non_trainable_variables if "moving" in v.path]
    assert moving
    assert set(moving) <= set(outputs.new_state)
    assert not any("seed" in name for name in outputs.new_state)


class Largest(keras.metrics.Metric):
    """The largest prediction. The result is a variable, not the value of it."""

    def __init__(self):
        super().__init__(name="largest")
        self.largest = self.add_variable((), "zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest.assign(keras.ops.max(y_pred))

    def result(self):
        return self.largest


def test_a_metric_may_return_a_variable():
    model = dense()
    model.compile("sgd", "mse", metrics=[Largest()])
    x, y = (array[:8] for array in nets.table())
    model.train_on_batch(x, y)
    largest = float(np.max(model(x)))
    _, result, arrays = recorded(model, (x, y))
    observed = [arrays[n] for n in result.outputs.observed if n in arrays]
    assert arrays[result.outputs.loss] == pytest.approx(float(result.loss))
    # Keras 3.8 makes numbers of the logs of an eager step, which no op gives.
    assert versions.IS_KERAS_3_8 or any(value == pytest.approx(largest) for value in observed)


def test_finiteness_is_that_of_every_element_however_large():
    engine = TensorFlowEngine(KerasModel(dense()))
    large = np.full((200, 200), 1e30, "float32")
    assert engine.is_finite(tf.constant(large))
    large[7, 7] = np.inf
    assert not engine.is_finite(tf.constant(large))
    assert not engine.is_finite(tf.constant([1.0, np.nan]))
    assert engine.is_finite(tf.constant([2**31 - 1]))
    assert not engine.is_finite(tf.cast([np.inf], tf.bfloat16))
    assert engine.is_finite(tf.constant([1 + 2j], tf.complex64))
    assert not engine.is_finite(tf.complex([1.0], [np.nan]))


def test_complex_numbers_are_widened_with_the_floats_of_a_step():
    model = dense()
    model.compile("sgd", lambda y, p: tf.reduce_mean(tf.abs(tf.signal.rfft(p[:, 0] - y[:, 0]))))
    x, y = (array[:8] for array in nets.table())
    subject = KerasModel(model)
    engine = TensorFlowEngine(subject)
    batch = batches.batch_of(subject, (x, y), numpy_of).map(engine.tensor)
    found = engine.run_wide(state_of(subject), batch).loss
    first, second = ([w.astype("float64") for w in layer.get_weights()] for layer in model.layers)
    output = np.tanh(x.astype("float64") @ first[0] + first[1]) @ second[0] + second[1]
    want = np.abs(np.fft.rfft(output[:, 0] - y)).mean()
    assert float(found) == pytest.approx(want, rel=1e-12)


def root_error(y_true, y_pred):
    """Under XLA its gradient is NaN where there is no error; TensorFlow's `sqrt` gives 0 there."""
    error = keras.ops.abs(y_true - y_pred)
    return keras.ops.mean(keras.ops.sqrt(error) * error, axis=-1)


@pytest.mark.parametrize("xla", [False, True])
def test_a_step_is_one_program_where_xla_compiles_it(xla):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", root_error, jit_compile=xla)
    step = step_of(model, (np.ones((8, 2), "float32"), np.ones((8, 1), "float32")))
    exact = tuple(np.zeros(shape, "float32") for shape in ((8, 2), (8, 1)))
    batch = batches.batch_of(step.subject, exact, numpy_of)
    before = everything(model)
    zero = {name: np.zeros_like(array) for name, array in step.state_arrays().items()}
    on_zeros = step.changed(Arrays(zero)).changed(OnBatch(batch))
    on_zeros.trace  # noqa: B018  (what the step draws is known from a recorded run)
    assert on_zeros.run(Unchanged()).finite
    compiled = on_zeros.changed(Compiled())
    assert compiled.run(Unchanged()).finite is not xla
    assert compiled.changed(OnBatch(step.batch)).run(Unchanged()).finite
    np.testing.assert_equal(everything(model), before)


def test_a_step_that_draws_is_not_made_as_a_program_of_xla_which_draws_other_numbers():
    model = keras.Sequential([keras.Input((2,)), layers.Dropout(0.5, seed=3), layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=True)
    step = step_of(model, (np.ones((8, 2), "float32"), np.ones((8, 1), "float32")))
    step.trace  # noqa: B018  (what the step draws is known from a recorded run)
    once, whole = (each.run(Unchanged()) for each in (step, step.changed(Compiled())))
    np.testing.assert_equal(whole.gradients, once.gradients)
    assert whole.loss == once.loss
