"""Formulas of real training steps: the recorded arrays are found, and give the recorded value."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from stayfinite.repair import Patch, swapped
from stayfinite.repair.extraction import GraphRecorded, extractions
from stayfinite.repair.formula import node, replaced, walk
from stayfinite.repair.writing import write
from tests.formulas.arithmetic import value_of

_BATCH = 4


def softmin(a, b):
    return -ops.log(ops.exp(-a) + ops.exp(-b))


def distance(y_true, y_pred):
    cost = ops.square(y_true - y_pred)
    best = cost[:, 0]
    for column in range(1, 3):
        best = cost[:, column] + softmin(best, cost[:, column])
    return best


def hazard(y_true, y_pred):
    risk = ops.cast(ops.reshape(y_pred, y_pred.shape), "float32")  # on JAX no operation at all
    return -ops.log(ops.sum(ops.exp(risk), axis=-1))


_CENTRES = ops.convert_to_tensor(np.array([-2.0, 0.0, 2.0], "float32"))


def mixture(y_true, y_pred):
    gap = y_pred - _CENTRES
    others = ops.cast(y_true == ops.transpose(y_true), "float32") * (1.0 - ops.eye(_BATCH))
    density = ops.sum(ops.exp(-gap * gap), axis=-1) * ops.sum(1.0 - ops.eye(_BATCH), axis=-1)
    return -ops.log(density) * ops.max(others + 1.0, axis=-1)


class Contrast(layers.Layer):
    def __init__(self, temperature):
        super().__init__()
        self.temperature = temperature
        self.project = layers.Dense(3, use_bias=False, kernel_initializer="identity")

    def call(self, inputs):
        left, right = inputs
        similarity = self.project(left) * self.project(right) / self.temperature
        weights = [ops.exp(part) for part in (similarity[:, 0], similarity[:, 1])]
        self.add_loss(-ops.mean(ops.log(weights[0] / sum(weights))))
        return similarity


class Penalty(layers.Layer):
    def __init__(self):
        super().__init__()
        self.project = layers.Dense(3, use_bias=False, kernel_initializer="identity")

    def call(self, inputs, training=False):
        outputs = self.project(inputs)
        if not training:
            return outputs
        self.add_loss(ops.mean(ops.log(ops.sum(ops.exp(outputs), axis=-1))))
        return outputs


class Power(layers.Layer):
    def build(self, shape):
        self.exponent = self.add_weight(
            shape=shape[-1:], initializer=lambda *_, **__: [0.4, 0.5, 0.6]
        )

    def call(self, inputs):
        return ops.power(inputs, self.exponent)


def _batches(extreme):
    x = np.random.default_rng(0).normal(size=(3 * _BATCH, 3)).astype("float32")
    x[2 * _BATCH + 1] = extreme
    return x


def _loop():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3, kernel_initializer="identity")])
    model.compile("sgd", loss=distance)
    return model, _batches(40.0), np.zeros((3 * _BATCH, 3), "float32")


def _view():
    model, x, y = _loop()
    model.compile("sgd", loss=hazard)
    return model, x + 60.0, y


def _constant():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3, kernel_initializer="identity")])
    model.compile("sgd", loss=mixture)
    return model, _batches(40.0), np.zeros((3 * _BATCH, 1), "float32")


def _flag():
    model = keras.Sequential([keras.Input((3,)), Penalty()])
    model.compile("sgd")
    return model, _batches(130.0), None


def _layer():
    left, right = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([left, right], Contrast(0.05)([left, right]))
    model.compile("sgd")
    return model, [_batches(3.0), _batches(4.0)], None


def _second_operand():
    model = keras.Sequential([keras.Input((3,)), Power()])
    model.compile("sgd", loss="mse")
    x = np.abs(_batches(0.0)) + 0.1
    x[2 * _BATCH + 1, 1] = -1.8
    return model, x, np.zeros((3 * _BATCH, 3), "float32")


# A branch and the place of an operand are in the source, which is the same on each backend.
_OF_THE_SOURCE = [
    pytest.param(build, marks=pytest.mark.slow_on("jax", "tensorflow"))
    for build in (_flag, _second_operand)
]


@pytest.mark.parametrize("build", [_loop, _layer, _constant, _view, *_OF_THE_SOURCE])
def test_the_formula_has_the_recorded_value(failure, build):
    step, diagnosis = failure(*build())
    op = diagnosis.evidence.primal or diagnosis.evidence.op
    *_, extraction = extractions(op.stack, GraphRecorded(step.trace, step.fetch))
    arrays = extraction.arrays()
    assert arrays.keys() == set(extraction.leaves)
    with np.errstate(all="ignore"):
        value = value_of(extraction.root, arrays)
    recording = extraction.recording(extraction.root)
    assert recording is not None
    recorded = step.fetch([recording.value])[recording.value]
    assert not np.isfinite(recorded).all()
    assert np.isfinite(value) == pytest.approx(np.isfinite(recorded))
    healthy = np.isfinite(recorded)
    assert value[healthy] == pytest.approx(recorded[healthy], rel=1e-3)


def test_a_helper_that_is_called_in_a_loop_is_rewritten_at_all_calls(failure):
    step, diagnosis = failure(*_loop())
    op = diagnosis.evidence.primal or diagnosis.evidence.op
    *_, extraction = extractions(op.stack, GraphRecorded(step.trace, step.fetch))
    first = next(n for n in walk(extraction.root) if n.op == "log")
    terms = [exponential.operands[0] for exponential in first.operands[0].operands]
    rewritten = replaced(extraction.root, first, node("logaddexp", *terms))
    written = write(extraction, rewritten)
    assert not any(n.op == "log" for n in walk(written.root))
    patch = Patch.start(written.edit.source).then(written.edit)
    assert "+    return -ops.logaddexp(-a, -b)\n" in patch.diff()
    far = np.array([900.0], "float32")
    assert np.isinf(keras.ops.convert_to_numpy(softmin(far, far))).all()
    with swapped(patch):
        inside = keras.ops.convert_to_numpy(softmin(far, far))
    assert inside == pytest.approx(900.0, abs=1)


def test_a_helper_by_itself_has_the_arrays_of_the_call_that_failed(failure):
    step, diagnosis = failure(*_loop())
    op = diagnosis.evidence.primal or diagnosis.evidence.op
    inner, outer = extractions(op.stack, GraphRecorded(step.trace, step.fetch, op.index))
    assert (inner.function, outer.function) == (softmin, distance)
    assert {leaf.attribute("name") for leaf in inner.leaves} == {"a", "b"}
    recording = inner.recording(inner.failing)
    assert recording is not None
    # The first call that failed, on finite operands; later calls have its infinity among theirs.
    assert recording.value <= op.results[0]
    assert all(np.isfinite(array).all() for array in inner.arrays().values())
    with np.errstate(all="ignore"):
        value = value_of(inner.failing, inner.arrays())
    recorded = step.fetch([recording.value])[recording.value]
    assert np.asarray(value) == pytest.approx(recorded, rel=1e-3)
