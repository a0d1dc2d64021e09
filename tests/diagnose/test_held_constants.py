"""A constant that is non-finite is named by the place that holds it."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import stayfinite

X = np.ones((16, 4), "float32")
TABLE = ops.convert_to_tensor(np.array([1.0, np.nan, 1.0, 1.0], "float32"))


class Scale(layers.Layer):
    def __init__(self, name):
        super().__init__(name=name)
        self.scale = ops.convert_to_tensor(np.array([np.nan, np.nan, 1.0, 1.0], "float32"))

    def call(self, x):
        return x * self.scale


class Tables(layers.Layer):
    def __init__(self):
        super().__init__()
        bad = ops.convert_to_tensor(np.array([1.0, 1.0, np.nan, 1.0], "float32"))
        self.tables = {"good": [ops.ones(4)], "bad": [ops.ones(4), bad]}

    def call(self, x):
        return x * self.tables["bad"][1]


class Weighted(keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.share = ops.convert_to_tensor(np.array([np.nan], "float32"))

    def call(self, y_true, y_pred):
        return ops.mean(self.share * ops.square(y_true - y_pred), axis=-1)


def projection():
    values = np.ones((4, 4), "float32")
    values[2, 1] = np.nan
    basis = ops.convert_to_tensor(values)
    return lambda x: ops.matmul(x, basis)


def incident_of(before, loss, keep):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), *before, layers.Dense(1)])
    model.compile("sgd", loss)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        guard = stayfinite.Guard(keep=keep)
        model.fit(X, X[:, :1], batch_size=8, verbose=0, callbacks=[guard])
    return caught.value.incident


CASES = {
    "layer": (lambda: [Scale("norm")], "mse", "`scale` held by layer `", "nan in 2 of 4 entries"),
    "list in a dict": (
        lambda: [Tables()],
        "mse",
        "`tables['bad'][1]` held by layer `",
        "nan in 1 of 4 entries",
    ),
    "closure": (
        lambda: [layers.Lambda(projection())],
        "mse",
        "`basis` held by the closure of `projection.<locals>.<lambda>`",
        "nan in 1 of 16 entries",
    ),
    "module": (
        lambda: [layers.Lambda(lambda x: x + TABLE)],
        "mse",
        f"`TABLE` held by module `{__name__}`",
        "nan in 1 of 4 entries",
    ),
    "object": (list, Weighted(), "`share` held by `Weighted`", "is nan"),
}


@pytest.mark.parametrize("name", CASES)
def test_holder_of_a_constant_is_named(name, tmp_path):
    before, loss, held_by, how_many = CASES[name]
    incident = incident_of(before(), loss, tmp_path)
    assert (incident.cause.name, incident.where.phase) == ("bad-weights", "load")
    assert held_by in incident.cause.message
    assert how_many in incident.cause.message
    assert incident.origin.file.endswith("test_held_constants.py")


def test_constant_that_where_leaves_out_is_no_incident(tmp_path):
    keras.utils.set_random_seed(0)
    guarded = layers.Lambda(lambda x: ops.where(ops.isnan(TABLE), x, 0.5 * x))
    model = keras.Sequential([keras.Input((4,)), guarded, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], verbose=0, callbacks=[stayfinite.Guard(keep=tmp_path)])
