"""Steps that end in an error of PyTorch's own: a NaN that an operator refuses, or another one."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

import stayfinite

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")
BAD_STEP = 3


def network():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
    # Probabilities go to `torch.nn.functional.binary_cross_entropy`, which raises on a NaN.
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    return model


def test_refused_nan_is_a_bad_step(tmp_path):
    x = X.copy()
    x[8 * BAD_STEP + 5, 2] = np.nan
    model, same = network(), network()
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        model.fit(
            x,
            Y,
            batch_size=8,
            shuffle=False,
            verbose=0,
            callbacks=[stayfinite.Guard(keep=tmp_path)],
        )
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (BAD_STEP, "bad-input")
    assert incident.origin.samples == (5,)
    assert incident.cause.certainty == "confirmed"
    same.fit(x[: 8 * BAD_STEP], Y[: 8 * BAD_STEP], batch_size=8, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


class BreaksAfterItsUpdate(keras.Model):
    """Its fourth step updates the weights, and then raises in the way of `error`."""

    def __init__(self, error):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.error = error
        self.num_steps = 0

    def call(self, inputs):
        return self.dense(inputs)

    def train_step(self, data):
        logs = super().train_step(data)
        self.num_steps += 1
        if self.num_steps == BAD_STEP + 1:
            self.error()
        return logs


def _raise():
    raise RuntimeError("mine")


def _misshapen():
    return torch.ones(2, 3) @ torch.ones(2, 3)


@pytest.mark.parametrize(("error", "message"), [(_raise, "mine"), (_misshapen, "cannot be multip")])
@pytest.mark.parametrize("value", [0.5, np.nan])
def test_an_error_of_another_kind_leaves_what_it_leaves_without_a_guard(
    tmp_path, error, message, value
):
    """Where the numbers are bad, too, it is the error that ends the training."""
    x = X.copy()
    x[8 * BAD_STEP + 5, 2] = value
    left = []
    for callbacks in ([], [stayfinite.Guard(keep=tmp_path)]):
        keras.utils.set_random_seed(0)
        model = BreaksAfterItsUpdate(error)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        with pytest.raises(RuntimeError, match=message):
            model.fit(x, Y, batch_size=8, shuffle=False, verbose=0, callbacks=callbacks)
        left.append(model)
    bare, guarded = left
    if np.isfinite(value):
        for one, other in zip(bare.get_weights(), guarded.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    if error is _raise:
        assert guarded.num_steps == bare.num_steps
