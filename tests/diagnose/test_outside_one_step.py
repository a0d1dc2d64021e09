"""Causes that lie outside of one step's forward and backward pass, and those that only look so."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

import stayfinite

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def dense(units=1, **options):
    return layers.Dense(units, kernel_initializer="zeros", **options)


def incident_of(network, optimizer, loss="mse", x=X, y=Y, epochs=4, callbacks=()):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(x.shape[1:]), *network])
    model.compile(optimizer, loss=loss)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        guards = [*callbacks, stayfinite.Guard()]
        options = {"batch_size": 8, "shuffle": False, "verbose": 0}
        model.fit(x, y, epochs=epochs, callbacks=guards, **options)
    return caught.value.incident


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def without_last_feature():
    x = X.copy()
    x[:, 3] = 0.0
    return x


class AtStep0(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1 / ops.cast(step, "float32")


class NanRate(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate = float("nan")


# PyTorch takes the learning rate of an update as a Python number: no op leads back to the schedule.
ON_TORCH = keras.backend.backend() == "torch"
SCHEDULE = ("setting", "`AtStep0`") if ON_TORCH else ("source", "keep the divisor above 0")
UPDATES = {
    "epsilon": (keras.optimizers.Adam(0.001, epsilon=0.0), (), "setting", "`epsilon=1e-07`"),
    "beta": (keras.optimizers.Adam(0.01, beta_1=1.0), (), "setting", "`beta_1=0.9`"),
    "schedule": (keras.optimizers.SGD(AtStep0()), (), *SCHEDULE),
    "callback": (keras.optimizers.SGD(0.01), (NanRate(),), "setting", "learning rate"),
}


@pytest.mark.parametrize("name", UPDATES)
def test_setting_of_the_optimizer_is_named_and_its_remedy_proved(name):
    optimizer, callbacks, kind, text = UPDATES[name]
    # The optimizers are made once, and learn from one test only.
    incident = incident_of([dense()], optimizer, x=without_last_feature(), callbacks=callbacks)
    assert (incident.cause.name, incident.cause.certainty) == ("bad-update", "confirmed")
    assert incident.where.phase == "update"
    # A rate of 0.1 / 0 has no value, so that no fix of the source has it.
    assert (incident.fix.verified, incident.fix.kind) == (kind == "setting", kind)
    assert text in incident.fix.text
    # No number beside the divisor, such as the learning rate, is said to be 0.
    assert "vanishes" not in incident.cause.message


class ToLengthOne(keras.constraints.Constraint):
    def __call__(self, w):
        return w / ops.sqrt(ops.sum(ops.square(w), axis=0, keepdims=True))


def test_constraint_that_divides_by_0_is_mended_in_its_source():
    network = [dense(3, kernel_constraint=ToLengthOne()), dense()]
    incident = incident_of(network, keras.optimizers.SGD(0.01))
    assert incident.cause.name == "bad-update"
    fix = incident.fix
    assert (fix.verified, fix.kind, fix.value) == (False, "source", "undefined")
    assert incident.origin.file.endswith("test_outside_one_step.py")


def test_momentum_above_1_is_named():
    incident = incident_of([layers.BatchNormalization(momentum=99), dense()], "sgd", epochs=9)
    assert (incident.cause.name, incident.where.phase) == ("bad-statistics", "statistics")
    assert "momentum" in incident.cause.message
    assert (incident.fix.verified, incident.fix.kind) == (True, "setting")


def test_negative_variance_of_a_frozen_layer_is_no_matter_of_its_root():
    frozen = layers.BatchNormalization()
    frozen.build((None, 4))
    frozen.moving_variance.assign([-1.0, 1.0, 1.0, 1.0])
    frozen.trainable = False
    incident = incident_of([frozen, dense()], "sgd")
    assert incident.cause.name == "bad-statistics"
    assert incident.origin.tensor.endswith("moving_variance")
    assert (incident.fix.verified, incident.fix.kind) == (True, "data")


def test_frozen_weight_is_a_weight_and_no_statistic():
    frozen = layers.Dense(4)
    frozen.build((None, 4))
    frozen.set_weights([np.full((4, 4), np.nan), np.zeros(4)])
    frozen.trainable = False
    incident = incident_of([frozen, dense()], "sgd")
    assert (incident.cause.name, incident.where.phase) == ("bad-weights", "load")
    assert (incident.fix.verified, incident.fix.kind) == (True, "data")


class Overwritten(keras.callbacks.Callback):
    """Writes to the kernel of the first layer between two steps."""

    def __init__(self, *places):
        super().__init__()
        self.places = places

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 5:
            kernel = self.model.layers[0].kernel
            values = ops.convert_to_numpy(kernel).copy()
            for place in self.places:
                values[place] = 1e30
            kernel.assign(values)


@pytest.mark.parametrize(
    ("optimizer", "places", "num_jumped"),
    [
        (keras.optimizers.SGD, [(1, 2)], 1),
        (keras.optimizers.Adam, [(0, 1), (2, 3)], 2),
    ],
)
def test_values_that_no_update_made_are_no_growth(places, num_jumped, optimizer):
    network = [layers.Dense(4, kernel_initializer="ones"), dense()]
    incident = incident_of(network, optimizer(1e-3), callbacks=[Overwritten(*places)])
    assert incident.cause.name == "bad-weights"
    assert f"{num_jumped} of 16 values" in incident.cause.message
    assert "not by an update of the optimizer" in incident.cause.message
    assert "1e+30" in incident.cause.message
    assert incident.origin.tensor.endswith("kernel")
    assert (incident.fix.verified, incident.fix.kind) == (True, "data")


@pytest.mark.parametrize(
    "optimizer", [keras.optimizers.Adam(1e-2), keras.optimizers.SGD(1e-2, momentum=0.9)]
)
def test_first_moment_that_no_gradients_make_is_no_growth(optimizer):
    class Spoilt(Overwritten):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 5:
                moments = self.model.optimizer.variables
                moment = next(each for each in moments if tuple(each.shape) == (4, 4))
                values = ops.convert_to_numpy(moment).copy()
                values[1, 2] = 1e30
                moment.assign(values)

    network = [layers.Dense(4), dense()]
    incident = incident_of(network, optimizer, callbacks=[Spoilt()])
    assert (incident.cause.name, incident.where.phase) == ("bad-update", "load")
    assert "is 9e+29, as no gradients make it" in incident.cause.message


def test_growth_of_one_value_is_no_jump():
    x = np.zeros((96, 4), "float32")
    x[:, 0] = 1.0
    network = [layers.Dense(1, use_bias=False)]
    incident = incident_of(network, keras.optimizers.SGD(20.0), x=x, y=x[:, :1], epochs=20)
    assert incident.cause.name == "divergence"


def doubling(step):
    return 0.01 * 2.0**step


class Rising(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.01 * 2.0 ** ops.cast(step, "float32")


L2 = keras.regularizers.L2(50.0)
WIDE = keras.initializers.RandomNormal(stddev=3.0, seed=1)
DIVERGING = {
    "learning rate": ([dense()], keras.optimizers.SGD(5.0), X, Y, "setting"),
    "momentum": ([dense()], keras.optimizers.SGD(1.0, momentum=0.9), X, Y, "setting"),
    "rising schedule": ([dense()], keras.optimizers.SGD(Rising()), X, Y, "setting"),
    "penalty": ([dense(kernel_regularizer=L2)], keras.optimizers.SGD(0.1), X, Y + X, "setting"),
    "inputs": ([dense()], keras.optimizers.SGD(0.01), 300.0 * X, Y, "data"),
    "weights": (
        [layers.Dense(32, kernel_initializer=WIDE) for _ in range(9)],
        keras.optimizers.SGD(1e-3),
        X,
        np.zeros((96, 32), "float32"),
        "setting",
    ),
}


@pytest.mark.parametrize("name", DIVERGING)
def test_growth_over_steps_is_told_and_a_remedy_proved_over_steps(name):
    network, optimizer, x, y, kind = DIVERGING[name]
    incident = incident_of(network, optimizer, x=x, y=y, epochs=20)
    assert (incident.cause.name, incident.cause.certainty) == ("divergence", "confirmed")
    assert (incident.fix.verified, incident.fix.kind) == (True, kind)
    # On the failing step itself it is too late for all that.
    assert [t.outcome for t in incident.trials if t.change == "learning rate / 10"] == [
        "non-finite"
    ]


def logistic(y_true, y_pred):
    return ops.mean(ops.log(1.0 + ops.exp(y_pred)) - y_true * y_pred)


def cross_entropy(y_true, y_pred):
    p = ops.softmax(ops.concatenate([y_pred, -y_pred], axis=-1))
    return -ops.mean(ops.log(p[:, 1]) + y_true)


def one_long_sample():
    x = np.abs(X)
    x[61] = 60.0
    return x


LOCAL = {"exp": (logistic, "overflow"), "log": (cross_entropy, "log-of-zero")}


@pytest.mark.parametrize("name", LOCAL)
def test_modest_growth_into_a_local_cause_is_no_divergence(name):
    loss, cause = LOCAL[name]
    x, y = one_long_sample(), np.full((96, 1), 9.0 if name == "exp" else 0.0)
    network = [
        layers.Dense(
            1, kernel_initializer=keras.initializers.Constant(0.3 if name == "exp" else 0.6)
        )
    ]
    incident = incident_of(network, keras.optimizers.SGD(0.01), loss, x, y, epochs=9)
    assert incident.cause.name == cause
    assert incident.where.step > 0


def test_overflow_of_data_alone_is_no_divergence():
    x = np.abs(X) + 1.0
    x[61] = 3e13
    network = [layers.Rescaling(1e26), layers.Dense(1, kernel_initializer="ones")]
    assert incident_of(network, keras.optimizers.SGD(0.0), x=x).cause.name == "overflow"
