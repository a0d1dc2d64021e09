"""Operands whose arrays are recorded in another order than that of the source."""

import keras
import numpy as np
import pytest
from keras import layers

from stayfinite.repair.extraction import GraphRecorded, extractions
from tests.formulas.arithmetic import value_of

jax = pytest.importorskip("jax")
jnp = jax.numpy

_BATCH = 4


def picked(scores, label):
    return -jnp.log(jax.nn.softmax(scores)[jnp.arange(label.shape[0]), label])


def taken(label, scores):
    probability = jax.nn.softmax(scores)
    return -jnp.log(probability[jnp.arange(scores.shape[0]), label])


def clipped(x, low, high):
    return jnp.sum(jnp.log(jnp.clip(x, low, high)), axis=-1)


def chosen(here, x, other):
    return jnp.sum(jnp.log(jnp.where(here, x, other)), axis=-1)


def density(x, middle, width):
    return -jnp.sum(jax.scipy.stats.norm.logpdf(x, middle, width), axis=-1)


def called(x, other):
    size = x.shape[0]
    return jnp.sum(_reversed(x, other), axis=-1) / size


def multiplied(x, other):
    return jnp.log(jnp.einsum("bi,ij->b", x, other))


def _reversed(x, other):
    return jnp.exp(other) * jnp.log(x)


def _loss(name):
    def loss(y_true, y_pred):
        x = jnp.abs(y_pred)
        label = jnp.argmax(y_true, axis=-1)
        arguments = {
            "picked": (y_pred, label),
            "taken": (label, y_pred),
            "clipped": (x, 0.5 * y_true, 3.0 + y_true),
            "chosen": (y_true > 0.5, x, y_true + 1.0),
            "density": (y_true, y_pred, x),
            "called": (x, y_true),
            "multiplied": (x, y_true[:3, :2]),
        }
        return globals()[name](*arguments[name])

    return loss


@pytest.mark.parametrize("name", "picked taken clipped chosen density called multiplied".split())
def test_each_operand_has_its_own_array(failure, name):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3, kernel_initializer="identity")])
    model.compile(keras.optimizers.SGD(0.0), loss=_loss(name))
    x = np.random.default_rng(0).normal(size=(2 * _BATCH, 3)).astype("float32")
    y = np.eye(3, dtype="float32")[np.arange(2 * _BATCH) % 3]
    x[_BATCH + 1] = [450.0, -150.0, 90.0] if name in ("picked", "taken") else 0.0
    step, diagnosis = failure(model, x, y)
    op = diagnosis.evidence.primal or diagnosis.evidence.op
    # The last has a product of matrices as a sum.
    *_, extraction = [
        found
        for found in extractions(op.stack, GraphRecorded(step.trace, step.fetch))
        if found.function.__name__ == name
    ]
    arrays = extraction.arrays()
    assert arrays.keys() == set(extraction.leaves)
    with np.errstate(all="ignore"):
        value = value_of(extraction.root, arrays)
    recording = extraction.recording(extraction.root)
    recorded = step.fetch([recording.value])[recording.value]
    healthy = np.isfinite(recorded)
    assert (np.isfinite(value) == healthy).all()
    assert 0 < healthy.sum() < _BATCH
    assert value[healthy] == pytest.approx(recorded[healthy], rel=1e-3)
