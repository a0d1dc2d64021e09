"""The failing step run again, in segments and in float64, against the step as Keras runs it."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras import layers

from stayfinite.frameworks.change import (
    ClipNorm,
    ClipValue,
    Compiled,
    LearningRate,
    OnBatch,
    OnState,
    Unchanged,
    WiderDtype,
    WithoutSamples,
)
from stayfinite.frameworks.jax import executor, private, segments
from stayfinite.frameworks.jax.step import JaxStep
from stayfinite.frameworks.keras import batches
from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.state import State


def dense(dtype):
    return [keras.Input((5,)), layers.Dense(7, "tanh", dtype=dtype), layers.Dense(1, dtype=dtype)]


def dropout(dtype):
    return [*dense(dtype)[:2], layers.Dropout(0.5, dtype=dtype), layers.Dense(1, dtype=dtype)]


def conv(dtype):
    return [
        keras.Input((8, 8, 1)),
        layers.Conv2D(3, 3, activation="relu", dtype=dtype),
        layers.MaxPooling2D(dtype=dtype),
        layers.Flatten(dtype=dtype),
        layers.Dense(1, dtype=dtype),
    ]


def recurrent(length):
    def build(dtype):
        return [keras.Input((length, 2)), layers.LSTM(3, dtype=dtype), layers.Dense(1, dtype=dtype)]

    return build


def normalised(dtype):
    return [keras.Input((5,)), layers.Dense(4, dtype=dtype), layers.BatchNormalization(dtype=dtype)]


NETS = {
    "dense": dense,
    "dropout": dropout,
    "conv and pooling": conv,
    "lstm": recurrent(3),
    "lstm, too long to unroll": recurrent(120),
    "batch normalization": normalised,
}


def model_of(build, dtype="float32", optimizer="sgd"):
    keras.utils.set_random_seed(3)
    model = keras.Sequential(build(dtype))
    model.compile(optimizer, loss="mse")
    return model


def state_of(model):
    model.optimizer.build(model.trainable_variables)
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    return State.of([[jnp.array(v.value) for v in group] for group in groups])


def batch_of(model, samples=6):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, *model.input_shape[1:])).astype("float32")
    return x, rng.normal(size=(samples, *model.output_shape[1:])).astype("float32"), None


def step_on(model, data):
    subject = KerasModel(model)
    return JaxStep.of(subject, state_of(model), batches.batch_of(subject, data, np.asarray))


def step_of(name, **options):
    model = model_of(NETS[name], **options)
    # Keras builds its metrics at the first look at a batch.
    model.train_on_batch(*batch_of(model)[:2])
    return step_on(model, batch_of(model))


@functools.cache
def shared_step(name):
    """A step that several tests run; a run changes nothing of it."""
    return step_of(name, optimizer=keras.optimizers.SGD(0.1, momentum=0.9))


def gradients_of(outcome):
    return list(outcome.gradients.values())


@pytest.mark.parametrize("name", NETS)
def test_segments_give_what_the_train_step_gives(name):
    step = shared_step(name)
    groups = [list(group) for group in step.state.groups]
    logs, new = jax.jit(step.subject.train_step)(groups, step.batch.data)
    outcome = step.run(Unchanged())
    assert outcome.finite
    assert outcome.loss == pytest.approx(float(logs["loss"]), rel=1e-5)
    values = step.fetch(step.program.traced.new_state.values())
    found = [values[number] for number in step.program.traced.new_state.values()]
    expected = [v for v in jax.tree.leaves(new[:3]) if jnp.issubdtype(v.dtype, jnp.inexact)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["dense", "conv and pooling", "batch normalization"])
def test_a_compiled_step_gives_the_bits_of_the_train_step(name):
    step = shared_step(name)
    groups = [list(group) for group in step.state.groups]
    _, new = jax.jit(step.subject.train_step)(groups, step.batch.data)
    after = step.changed(Compiled()).after()
    assert len(after.trainable) == len(new[0]) > 0
    for one, other in zip(after.trainable, new[0], strict=True):
        np.testing.assert_array_equal(one, other)


def test_two_runs_give_the_same_bits():
    step = step_of("dropout")
    again = JaxStep.of(step.subject, step.state, step.batch)
    one, two = step.run(Unchanged()), again.run(Unchanged())
    assert one.loss == two.loss
    pairs = zip(gradients_of(one), gradients_of(two), strict=True)
    assert all(np.array_equal(left, right) for left, right in pairs)


def test_layers_that_repeat_share_one_compiled_form():
    def tower(dtype):
        return [keras.Input((8,)), *(layers.Dense(8, "tanh", dtype=dtype) for _ in range(12))]

    model = model_of(tower, optimizer="adam")
    step = step_on(model, batch_of(model))
    executor = step._executor
    assert len(executor.segments) > 30
    assert len(set(executor.structure)) < len(executor.segments) / 2


def test_structure_tells_constants_and_parameters_apart():
    from stayfinite.frameworks.jax.capture_program import flatten

    def structure(function):
        def step(x):
            return function(x)

        program = flatten(jax.make_jaxpr(step)(jnp.ones((2, 3))), step.__code__)
        (segment,) = segments.cut(program, set())
        return segments.structure(program, segment)

    assert structure(lambda x: x * 2.0) == structure(lambda y: y * 2.0)
    assert structure(lambda x: x * 2.0) != structure(lambda x: x * 3.0)
    assert structure(lambda x: x.sum(axis=0)) != structure(lambda x: x.sum(axis=1))
    assert structure(lambda x: x - 1.0) != structure(lambda x: 1.0 - x)


def plain_dense(weights, x):
    kernel, bias, head, head_bias = weights
    return jnp.tanh(x @ kernel + bias) @ head + head_bias


def plain_conv(weights, x):
    kernel, bias, head, head_bias = weights
    layout = ("NHWC", "HWIO", "NHWC")
    x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=layout) + bias
    samples, height, width, channels = x.shape
    x = jnp.maximum(x, 0).reshape(samples, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
    return x.reshape(samples, -1) @ head + head_bias


def plain_lstm(weights, x):
    kernel, recurrent_kernel, bias, head, head_bias = weights

    def turn(carry, x):
        h, c = carry
        i, f, new, o = jnp.split(x @ kernel + h @ recurrent_kernel + bias, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(new)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), None

    zero = jnp.zeros((len(x), 3))
    (h, _), _ = jax.lax.scan(turn, (zero, zero), jnp.swapaxes(x, 0, 1))
    return h @ head + head_bias


PLAIN = {
    "dense": plain_dense,
    "conv and pooling": plain_conv,
    "lstm": plain_lstm,
    "lstm, too long to unroll": plain_lstm,
}


@pytest.mark.parametrize("name", PLAIN)
def test_float64_agrees_with_the_same_network_written_in_float64(name):
    step = shared_step(name)
    wide = step.run(WiderDtype())
    weights = [np.asarray(v, "float64") for v in step.state.trainable]
    x, y = (np.asarray(part, "float64") for part in step.batch.data[:2])
    with private.float64_enabled():

        def loss(weights):
            return jnp.mean(jnp.square(PLAIN[name](weights, x) - y))

        value, gradients = jax.jit(jax.value_and_grad(loss))([jnp.asarray(w) for w in weights])
        assert wide.loss == pytest.approx(float(value), rel=1e-12)
        for one, other in zip(gradients_of(wide), gradients, strict=True):
            np.testing.assert_allclose(one, np.asarray(other), rtol=1e-9, atol=1e-13)


# The others are compared with a network that has more digits.
@pytest.mark.parametrize("name", sorted(NETS.keys() - PLAIN.keys()))
def test_float64_is_the_same_step_with_more_digits(name):
    step = shared_step(name)
    narrow, wide = step.run(Unchanged()), step.run(WiderDtype())
    assert wide.loss == pytest.approx(narrow.loss, rel=1e-5)
    assert wide.loss != narrow.loss
    for one, other in zip(gradients_of(narrow), gradients_of(wide), strict=True):
        assert other.dtype == np.float64
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-5)


def test_float64_does_not_overflow_where_float32_does():
    model = model_of(lambda dtype: [keras.Input((2,)), layers.Dense(1, use_bias=False)])
    x = np.full((3, 2), 1e25, "float32")
    step = step_on(model, (x, np.zeros((3, 1), "float32"), None))
    assert not step.run(Unchanged()).finite
    assert step.run(WiderDtype()).finite


def test_complex_numbers_have_more_digits_too():
    spectrum = layers.Lambda(lambda x: keras.ops.abs(jnp.fft.fft(x) * jnp.complex64(1 + 2j)))
    model = model_of(lambda dtype: [keras.Input((4,)), layers.Dense(4), spectrum])
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    step = step_on(model, (x, np.zeros((3, 4), "float32"), None))
    narrow, wide = step.run(Unchanged()), step.run(WiderDtype())
    assert wide.loss == pytest.approx(narrow.loss, rel=1e-5)
    assert wide.loss != narrow.loss


class CooledDown(keras.optimizers.schedules.LearningRateSchedule):
    """`1 - 40 * 0.025` is 0 with two roundings and -1.5e-8 with one."""

    def __call__(self, step):
        return keras.ops.sqrt(1.0 - keras.ops.cast(step, "float32") / 40)


def test_root_is_found_where_only_compiled_code_makes_it_bad():
    model = model_of(dense, optimizer=keras.optimizers.SGD(CooledDown()))
    model.optimizer.iterations.assign(40)
    step = step_on(model, batch_of(model))
    if step.run(Unchanged()).finite:
        pytest.skip("XLA rounds twice on this processor")
    (root,) = step.roots().ops
    assert root.name == "sqrt"
    assert step.fetch(root.operands)[root.operands[0]] < 0


def test_clipping_is_that_of_the_optimizer():
    step = step_of("dense")
    plain = gradients_of(step.run(Unchanged()))
    for change, option in ((ClipNorm(0.01), "clipnorm"), (ClipValue(0.01), "clipvalue")):
        optimizer = keras.optimizers.SGD(**{option: 0.01})
        expected = [
            np.asarray(g) for g in optimizer._clip_gradients([jnp.asarray(g) for g in plain])
        ]
        outcome = step.run(change)
        assert outcome.finite
        values = gradients_of(outcome)
        # The outcome tells the gradients after clipping.
        for one, other in zip(values, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)


def test_learning_rate_leaves_loss_and_gradients():
    step = step_of("dense")
    one, other = step.run(Unchanged()), step.run(LearningRate(0.1))
    assert one.loss == other.loss
    before, after = (
        s.fetch(s.program.traced.new_state.values())
        for s in (step, step.changed(LearningRate(0.1)))
    )
    old = [np.asarray(v) for v in step.state.trainable]
    numbers = list(step.program.traced.new_state.values())[: len(old)]
    for weight, number in zip(old, numbers, strict=True):
        np.testing.assert_allclose(
            after[number] - weight, 0.1 * (before[number] - weight), rtol=1e-2, atol=1e-7
        )


def test_samples_are_replaced_by_other_samples():
    step = step_of("dense")
    bad = step.batch.arrays()["x"].copy()
    bad[2] = np.nan
    spoiled = step.changed(OnBatch(step.batch.with_arrays({"x": bad})))
    assert not spoiled.run(Unchanged()).finite
    assert spoiled.run(WithoutSamples((2,))).finite
    assert not spoiled.run(WithoutSamples((3,))).finite
    with pytest.raises(ValueError, match="every sample"):
        spoiled.run(WithoutSamples(tuple(range(6))))


def test_compiled_segments_that_are_not_used_for_longest_are_dropped(monkeypatch):
    monkeypatch.setattr(executor, "_COMPILED", executor._CompiledSegments(max_kept=3))
    step = step_of("lstm")
    assert len(set(step._executor.structure)) > 3
    outcome = step.run(Unchanged())
    assert len(executor._COMPILED._kept) == 3
    again = step.changed(OnState(step.state)).run(Unchanged())
    assert outcome.loss == again.loss
