"""Steps that end in an error of PyTorch's own: a NaN that an operator refuses, or another one."""

from __future__ import annotations

import keras
import numpy as np
import pytest

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


def test_an_error_of_another_kind_passes_through(tmp_path):
    x = X.copy()
    x[8 * BAD_STEP + 5, 2] = np.nan
    model = network()

    def wrong(y, p):
        if np.isnan(p.detach().numpy()).any():
            raise RuntimeError("mine")
        return keras.ops.mean(p)

    model.compile("sgd", wrong)
    with pytest.raises(RuntimeError, match="mine"):
        model.fit(
            x,
            Y,
            batch_size=8,
            shuffle=False,
            verbose=0,
            callbacks=[stayfinite.Guard(keep=tmp_path)],
        )
