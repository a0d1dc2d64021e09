"""Repairs of the line that made a layer, a loss or an operation of the graph, proved as printed."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

import stayfinite
from stayfinite.frameworks.keras import creation

RNG = np.random.default_rng(0)
X = np.abs(RNG.normal(size=(32, 4))).astype("float32") + 0.1
ROW = 13


@pytest.fixture(autouse=True)
def recorded():
    """Which line made which object is noted from here on, as under `stayfinite run`."""
    creation.record()


def with_sample(value):
    x = X.copy()
    x[ROW] = value
    return x


def stopped(model, loss, x, keep):
    model.compile(keras.optimizers.SGD(1e-6), loss=loss)
    guard = stayfinite.Guard(keep=keep)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        model.fit(x, np.ones((32, 1)), batch_size=8, shuffle=False, verbose=0, callbacks=[guard])
    return caught.value.incident


def identity():
    return layers.Dense(4, kernel_initializer="identity", use_bias=False)


def exponential_layer(x):
    return layers.Dense(4, activation="exponential", kernel_initializer="identity")(x)


def operation_of_the_graph(x):
    return ops.exp(identity()(x))


def operator_of_the_graph(x):
    return 1.0 / identity()(x)


def unit_normalization(x):
    return layers.UnitNormalization()(identity()(x))


GRAPHS = {
    "activation": (
        exponential_layer,
        200.0,
        "overflow",
        "activation=lambda x: keras.ops.exp(keras.ops.minimum(x, ",
    ),
    "operation": (operation_of_the_graph, 200.0, "overflow", "ops.exp(ops.minimum(identity()(x), "),
    # A floor of 1e-7 makes 1e7 of the quotient, and the steps after it diverge.
    "operator": (operator_of_the_graph, 0.0, "division-by-zero", "ops.where("),
    "normalization": (unit_normalization, 0.0, "singular-gradient", "layers.Lambda(lambda x: x /"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_object_that_was_made_once(name, tmp_path):
    build, value, cause, text = GRAPHS[name]
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(1)(build(inputs)))
    incident = stopped(model, "mse", with_sample(value), tmp_path)
    assert (incident.cause.name, incident.origin.samples) == (cause, (ROW % 8,))
    # An infinite activation makes a loss of NaN: that the exact one is infinite is not known.
    assert incident.fix.verified == (name != "operator"), incident.notes
    added = [line for line in incident.fix.diff.splitlines() if line.startswith("+ ")]
    assert len(added) == 1
    assert text in added[0]
    # The live objects are as they were.
    assert not any("call" in vars(layer) for layer in model.layers)


def test_loss_object(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(1, kernel_initializer="ones")(inputs))
    incident = stopped(model, keras.losses.Poisson(), with_sample(-3.0), tmp_path)
    assert incident.cause.name == "out-of-domain"
    # The logarithm of a negative number: the fix keeps the step finite, and proves nothing.
    assert (incident.fix.verified, incident.fix.value) == (False, "undefined"), incident.notes
    assert "keras.losses.poisson(y_true, keras.ops.maximum(y_pred, 1e-7))" in incident.fix.diff


def fractional_power(y_true, u):
    return ops.mean(ops.square(u**1.5 - y_true))


def test_power_of_a_network_that_gives_negative_numbers(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, "tanh"), layers.Dense(1)])
    # Of one sign in each batch, whatever is drawn first.
    model.layers[-1].kernel.assign(-np.ones((8, 1)))
    model.layers[0].kernel.assign(np.ones((4, 8)))
    incident = stopped(model, fractional_power, X, tmp_path)
    assert (incident.cause.name, incident.where.step) == ("out-of-domain", 0)
    assert (incident.fix.verified, incident.fix.value) == (False, "undefined"), incident.notes
    assert incident.fix.text.startswith("check `u`: `power` has no value there.")
    [line] = added_lines(incident)
    assert 'layers.Dense(1, activation="softplus")' in line
    assert any("its sign" in note and "maximum(u" in note for note in incident.notes)


@pytest.fixture
def half():
    before = keras.config.floatx()
    keras.config.set_floatx("float16")
    yield
    keras.config.set_floatx(before)


def added_lines(incident):
    lines = incident.fix.diff.splitlines()
    return [line for line in lines if line.startswith("+") and not line.startswith("+++")]


@pytest.mark.parametrize("given", ["mse", ["mse"], keras.losses.mean_squared_error])
def test_loss_in_half_precision_that_compile_names(given, half, tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1, kernel_initializer="ones")])
    if given == "mse":
        model.compile(keras.optimizers.SGD(1e-6), loss="mse")
    elif given == ["mse"]:
        model.compile(keras.optimizers.SGD(1e-6), loss=["mse"])
    else:
        model.compile(keras.optimizers.SGD(1e-6), loss=keras.losses.mean_squared_error)
    y = np.ones((32, 1))
    y[ROW] = 600
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        guard = stayfinite.Guard(keep=tmp_path)
        model.fit(X, y, batch_size=8, shuffle=False, verbose=0, callbacks=[guard])
    incident = caught.value.incident
    assert (incident.cause.name, incident.origin.samples) == ("half-overflow", (ROW % 8,))
    assert (incident.fix.verified, incident.fix.value) == (True, "exact"), incident.notes
    [line] = added_lines(incident)
    assert line.lstrip("+ ").startswith("model.compile(")
    assert 'keras.losses.MeanSquaredError(dtype="float32")' in line


def test_gradient_of_a_loss_in_half_precision(half, tmp_path):
    keras.utils.set_random_seed(0)
    num_classes = 3
    model = keras.Sequential([keras.Input((3,))])
    model.add(layers.Dense(num_classes, "softmax", kernel_initializer="identity"))
    model.compile(keras.optimizers.SGD(1e-3), loss="kl_divergence")
    x = X[:, :3].copy()
    x[ROW] = [16, 0, 0]
    y = np.eye(3)[np.full(32, 1)]
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        guard = stayfinite.Guard(keep=tmp_path)
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[guard])
    incident = caught.value.incident
    assert incident.cause.name == "half-overflow"
    assert (incident.fix.verified, incident.fix.value) == (True, "exact"), incident.notes
    # Where the compiler keeps the gradient in float32, the layer may stay as it is.
    *layer, loss = added_lines(incident)
    assert 'keras.losses.KLDivergence(dtype="float32")' in loss
    assert all('kernel_initializer="identity", dtype="float32")' in line for line in layer)


def test_line_that_does_not_make_the_object_is_not_edited(half, tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1, kernel_initializer="ones")])
    settings = {"loss": "mse", "optimizer": keras.optimizers.SGD(1e-6)}
    model.compile(**settings)
    y = np.ones((32, 1))
    y[ROW] = 600
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        guard = stayfinite.Guard(keep=tmp_path)
        model.fit(X, y, batch_size=8, shuffle=False, verbose=0, callbacks=[guard])
    assert caught.value.incident.fix.diff is None
