"""Fixes of steps in half precision: held against float64 in loss and in gradients."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

import stayfinite
from stayfinite.experiments import loss_scale
from stayfinite.experiments.comparison import is_near, tolerance
from stayfinite.frameworks.change import LossScale
from stayfinite.frameworks.step import Outcome

BATCH = 8


class Detector(keras.Model):
    """A focal loss in float16 whose epsilon is 0 there."""

    def __init__(self):
        super().__init__(dtype="mixed_float16")
        self.score = keras.layers.Dense(1, kernel_initializer="ones", dtype="mixed_float16")

    def call(self, x):
        return ops.sigmoid(self.score(x))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        p = y_pred[:, 0]
        fault = ops.cast(y, p.dtype)
        p_of_truth = fault * p + (1 - fault) * (1 - p)
        return -ops.mean((1 - p_of_truth) ** 2 * ops.log(p_of_truth + 1e-8))


class Bottleneck(keras.layers.Layer):
    """A divergence whose exponential amplifies the roundings of the product before it."""

    def build(self, shape):
        self.to_log_var = self.add_weight(
            shape=(shape[-1], 2), initializer=keras.initializers.Constant(0.1)
        )

    def call(self, x):
        log_var = x @ self.to_log_var
        divergence = ops.sum(ops.exp(log_var) - log_var - 1, axis=-1)
        self.add_loss(1e-5 * ops.mean(ops.cast(divergence, "float32")))
        return log_var


def incident_of(make, x, y, folder):
    guard = stayfinite.Guard(keep=folder)  # first, so that it knows where the layers are made
    model = make()
    model.compile(keras.optimizers.SGD(1e-3))
    with pytest.raises(stayfinite.NonFiniteError) as stopped:
        model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[guard])
    return stopped.value.incident


def test_a_gradient_that_no_loss_scale_has_room_for_is_no_fix(tmp_path):
    x = np.random.default_rng(0).normal(size=(3 * BATCH, 4)).astype("float32")
    y = np.zeros(len(x), "float32")
    x[18], y[18] = -12.0, 1.0
    fix = incident_of(Detector, x, y, tmp_path).fix
    # A cast behind the sigmoid, which is 0 there, gives the same loss.
    assert 'ops.sigmoid(ops.cast(self.score(x), "float32"))' in fix.diff
    assert (fix.verified, fix.value) == (True, "exact")
    assert fix.loss == pytest.approx(fix.reference_loss, rel=1e-3)


def test_of_two_fixes_that_are_exact_but_for_roundings_the_nearer_one_is_printed(tmp_path):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(4).normal(size=(3 * BATCH, 10)).astype("float32")
    x[18] += 15.3

    def make():
        inputs = keras.Input((10,))
        return keras.Model(inputs, Bottleneck(dtype="mixed_float16")(inputs))

    fix = incident_of(make, x, x, tmp_path).fix
    assert 'Bottleneck(dtype="float32")' in fix.diff
    assert (fix.verified, fix.value) == (True, "exact")


class Scaled:
    """A step whose gradients are finite at a loss scale of at most `room`."""

    def __init__(self, room, scale=2.0**15):
        self.room, self.scale = room, scale
        self.subject = SimpleNamespace(optimizers=[])

    def state_arrays(self):
        return {"scale": np.array(self.scale)}

    def changed(self, change):
        assert isinstance(change, LossScale)
        return Scaled(self.room, change.value)

    def run(self, change):
        gradient = 1.0 if self.scale <= self.room else np.inf
        return Outcome(1.0, {"w": np.array(gradient)}, ())


@pytest.mark.parametrize(("room", "scale", "fits"), [(1e6, 2**15, 1), (200, 128, 1), (0.5, 1, 0)])
def test_the_largest_scale_at_which_gradients_are_finite(monkeypatch, room, scale, fits):
    monkeypatch.setattr(loss_scale, "loss_scale_paths", lambda optimizers: ["scale"])
    step, outcome = loss_scale.run_unscaled(Scaled(room))
    assert (step.scale, not outcome.bad_gradients) == (scale, fits)


def in_dtype(dtype):
    return SimpleNamespace(trace=SimpleNamespace(values={0: SimpleNamespace(dtype=dtype)}))


def test_tolerance_is_a_few_roundings():
    assert tolerance(in_dtype("float32")) == 1e-3
    assert 2e-3 < tolerance(in_dtype("float16")) < 4e-3
    assert 1e-2 < tolerance(in_dtype("bfloat16")) < 2e-2
    one, other = (Outcome(loss, {"w": np.array([1.0])}, ()) for loss in (1.0, 1.01))
    assert is_near(one, one) and not is_near(one, other)
