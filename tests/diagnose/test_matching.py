"""Causes that a page has no room for, each on a step that was really stopped."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

import stayfinite
from stayfinite import strict
from stayfinite.diagnose import classify

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 4)).astype("float32")


def dense(kernel, activation=None):
    initializer = keras.initializers.Constant(kernel)
    return keras.layers.Dense(3, activation, use_bias=False, kernel_initializer=initializer)


def incident_of(layers, loss, x, y, keep):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(x.shape[1:]), *layers])
    # The weights stay as they are, so that a sample can be put exactly where it hurts.
    model.compile(keras.optimizers.SGD(0.0), loss=loss)
    guard = stayfinite.Guard(keep=keep)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[guard])
    return caught.value.incident


def at_sample_13(value):
    x = np.abs(X) + 0.5
    x[13] = value
    return x


def arc(_, p):
    return ops.mean(ops.arccos(p[:, 0]))


def angle(_, p):
    return ops.mean(ops.arctan2(p[:, 0], p[:, 1]))


def reciprocal_root(_, p):
    return ops.mean(ops.rsqrt(ops.sum(p, axis=-1)))


def log_of_shifted(_, p):
    return ops.mean(ops.log1p(p[:, 0]))


def cosh(_, p):
    return ops.mean(ops.cosh(p))


def log_of_padding(_, p):
    is_word = ops.cast(p[:, 0] > 0, "float32")
    return ops.sum(ops.log(p[:, 0]) * is_word) / 8


def one_hot_entropy(_, p):
    labels = ops.cast(ops.equal(ops.argmax(p, axis=-1)[:, None], ops.arange(3)), "float32")
    return -ops.mean(labels * ops.log(ops.stack([p[:, 0], p[:, 0] + 1, p[:, 0] + 2], axis=-1)))


def softmax_by_hand(_, p):
    scores = ops.where(p > 0, p, -np.inf)
    e = ops.exp(scores - ops.max(scores, axis=-1, keepdims=True))
    return ops.mean(e / ops.sum(e, axis=-1, keepdims=True))


def log_softmax_by_hand(_, p):
    scores = ops.where(p > 0, p, -np.inf)
    return -ops.mean(ops.maximum(scores - ops.logsumexp(scores, axis=-1, keepdims=True), -60.0))


def centred_log(_, p):
    logs = ops.log(p)
    return ops.mean(ops.exp(logs - ops.mean(logs, axis=0, keepdims=True)))


def masked_softmax(_, p):
    e = ops.exp(p) * ops.cast(p > 0, "float32")
    return ops.mean(e / ops.sum(e, axis=-1, keepdims=True))


def clipped_too_little(_, p):
    return -ops.mean(ops.log(1 - ops.clip(0.3 * p[:, 0], 1e-12, 1 - 1e-12)))


def half_mask(_, p):
    scores = ops.where(p > 0, ops.cast(p, "float16"), ops.cast(-1e9, "float16"))
    return ops.mean(ops.cast(ops.softmax(scores), "float32") * p)


def half_sum(_, p):
    return ops.mean(ops.cast(ops.sum(ops.cast(p, "float16") * 8, axis=-1), "float32"))


def share(_, p):
    return ops.mean(p / ops.sum(p, axis=-1, keepdims=True))


def variance_by_difference(_, p):
    return ops.mean(ops.sqrt(ops.mean(p, axis=-1) - 0.5))


def weighted_mask(_, p):
    is_pair = ops.cast(p[:, 0] > 0, "float32")
    return ops.sum(is_pair * p[:, 1] * (1.0 / p[:, 0])) / 8


CASES = {
    "log under a mask": (log_of_padding, at_sample_13(0.0), "masked-branch"),
    "division under a mask that was weighted": (weighted_mask, at_sample_13(0.0), "masked-branch"),
    "log under one-hot labels": (one_hot_entropy, at_sample_13(0.0), "log-of-zero"),
    "softmax written out": (softmax_by_hand, at_sample_13(-1.0), "fully-masked-row"),
    "log-softmax written out": (log_softmax_by_hand, at_sample_13(-1.0), "fully-masked-row"),
    "log of 0 less a mean": (centred_log, at_sample_13(0.0), "log-of-zero"),
    "softmax masked by a product": (masked_softmax, at_sample_13(-1.0), "fully-masked-row"),
    "clip whose upper end is 1": (clipped_too_little, at_sample_13(40.0), "epsilon-underflow"),
    "mask beyond float16": (half_mask, at_sample_13(-1.0), "half-overflow"),
    "sum in float16": (half_sum, at_sample_13(60000.0), "half-overflow"),
    "a share of nothing": (share, at_sample_13(0.0), "division-by-zero"),
    "root of a negative number": (variance_by_difference, at_sample_13(-1.0), "out-of-domain"),
    "arccos at 1": (arc, np.where(np.arange(32)[:, None] == 13, 4.0, 0.1), "singular-gradient"),
    "arctan2 at the origin": (angle, at_sample_13(0.0), "singular-gradient"),
    "rsqrt of 0": (reciprocal_root, at_sample_13(0.0), "division-by-zero"),
    "log1p at -1": (log_of_shifted, at_sample_13(-1.0), "log-of-zero"),
    "cosh": (cosh, at_sample_13(200.0), "overflow"),
}


# PyTorch takes the derivative of arctan2 at the origin to be 0.
HERE = [n for n in CASES if n != "arctan2 at the origin" or keras.backend.backend() != "torch"]
# One for each way in which JAX writes a step otherwise: half precision, derivatives; masks are in
# `log_of_positive.py` of `tests/incidents`. Rules are held against graphs in `test_causes.py`, and
# against programs on PyTorch in `test_pages.py`.
FAST = ("mask beyond float16", "arctan2 at the origin")


def mark_of(name):
    return pytest.mark.slow_on("torch") if name in FAST else pytest.mark.slow


# A number that float16 has no room for is what one of the cases is about.
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("name", [pytest.param(n, marks=mark_of(n)) for n in HERE])
@pytest.mark.usefixtures("without_trials")
def test_cause_and_sample(name, tmp_path):
    loss, x, cause = CASES[name]
    incident = incident_of([dense(0.25)], loss, x.astype("float32"), np.zeros((32, 3)), tmp_path)
    assert (incident.cause.name, incident.origin.samples) == (cause, (5,)), incident.cause
    assert incident.where.step == 1


@pytest.mark.slow
def test_product_that_overflows(tmp_path):
    def gram(_, p):
        return ops.mean(ops.matmul(p, ops.transpose(p)))

    layers = [dense(1.0), keras.layers.Rescaling(1e10), keras.layers.Rescaling(1e10)]
    incident = incident_of(layers, gram, X, np.zeros((32, 3)), tmp_path)
    assert (incident.cause.name, incident.origin.op) == ("overflow", "matmul")
    assert incident.notes == ()


def test_large_values_that_are_usual_in_the_data_are_not_absurd(tmp_path):
    x = X * 1e17
    x[13] = 1e22
    incident = incident_of([dense(1.0)], "mse", x, np.zeros((32, 3)), tmp_path)
    assert incident.cause.name != "bad-input"


def test_adjacency_is_no_mask_of_the_division_by_its_degree(tmp_path):
    def normalised(adjacency):
        return adjacency * (1.0 / ops.sqrt(ops.sum(adjacency, axis=-1, keepdims=True)))

    adjacency = np.ones((32, 3, 3), "float32")
    adjacency[13, 1] = 0.0
    layers = [keras.layers.Lambda(normalised), keras.layers.Flatten(), dense(0.25)]
    incident = incident_of(layers, "mse", adjacency, np.zeros((32, 3)), tmp_path)
    assert (incident.cause.name, incident.origin.samples) == ("division-by-zero", (5,))
    # 0 times infinity: the formula has no value there, so no fix can have the right one.
    assert (incident.fix.verified, incident.fix.value) == (False, "undefined")


def test_sample_that_is_compared_with_a_bad_one_is_not_named(tmp_path):
    def contrast(_, p):
        return ops.mean(ops.exp(ops.matmul(p, ops.transpose(p))))

    x = X.copy()
    x[13], x[14] = 30.0, 2.0
    incident = incident_of([dense(0.25)], contrast, x, np.zeros((32, 3)), tmp_path)
    assert (incident.cause.name, incident.origin.samples) == ("overflow", (5,))
    assert any("sample 6 does not fail alone" in line for line in incident.because)


def test_gradient_that_is_nothing_but_rounding_does_not_hide_the_fix(tmp_path):
    def cox(_, p):
        return ops.mean(ops.log(ops.cumsum(ops.exp(p[:, 0]))) - p[:, 0])

    with_bias = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.25))
    x = at_sample_13(400.0).astype("float32")
    # One number for all samples cancels, so the gradient of the bias is 0.
    incident = incident_of([with_bias], cox, x, np.zeros((32, 1)), tmp_path)
    assert incident.cause.name == "overflow"
    # The bound changes the value of the loss, and is compared with healthy steps all the same.
    assert incident.fix.value in ("exact", "changed"), incident.notes
    assert incident.num_healthy_steps > 0


def test_nan_that_nan_to_num_takes_out_leaks_through_its_gradient(tmp_path):
    def observed(y, p):
        return ops.sum(ops.nan_to_num(ops.square(p - y)), axis=-1)

    y = np.zeros((32, 3))
    y[13, 1] = np.nan
    incident = incident_of([dense(0.25)], observed, X, y, tmp_path)
    assert (incident.cause.name, incident.origin.samples) == ("masked-branch", (5,))
    assert incident.fix.verified


def test_label_that_is_no_class_is_bad_and_not_the_logarithm(tmp_path):
    def entropy(y, p):
        code = ops.one_hot(ops.cast(y[:, 0], "int32"), 3)
        return -ops.log(ops.sum(code * ops.softmax(p), axis=-1))

    y = np.arange(32)[:, None] % 3
    y[13] = -1
    incident = incident_of([dense(0.25)], entropy, X, y, tmp_path)
    assert (incident.cause.name, incident.origin.samples) == ("bad-target", (5,))
    assert incident.fix.verified


def test_samples_are_left_out_where_there_is_no_other_fix(tmp_path):
    x = np.ones((32, 5, 2), "float32")
    x[13] = 0.0
    layers = [keras.layers.Masking(), keras.layers.GlobalAveragePooling1D(), dense(0.25)]
    incident = incident_of(layers, "mse", x, np.zeros((32, 3)), tmp_path)
    assert (incident.cause.name, incident.origin.samples) == ("empty-reduction", (5,))
    assert (incident.fix.verified, incident.fix.kind) == (True, "data")


# A step of 300 operators in a row: JAX has a loop for it, PyTorch takes too long to run it again.
@pytest.mark.slow_on("torch")
def test_recurrence_that_grows_beyond_what_is_unrolled(tmp_path):
    wide = keras.initializers.Orthogonal(gain=2.5)
    cell = keras.layers.SimpleRNN(8, activation="relu", recurrent_initializer=wide)
    x = np.random.default_rng(0).normal(size=(32, 300, 2)).astype("float32")
    incident = incident_of([cell, dense(0.25)], "mse", x, np.zeros((32, 3)), tmp_path)
    assert incident.cause.name == "divergence"
    assert incident.fix.verified, incident.notes


def test_rule_that_fails_does_not_take_the_others_with_it(tmp_path, monkeypatch):
    def fails(evidence):
        raise ValueError("no such axis")

    rules = tuple(
        dataclasses.replace(rule, match=fails) if rule.cause == "masked-branch" else rule
        for rule in classify.ORDER
    )
    monkeypatch.setattr(classify, "ORDER", rules)
    monkeypatch.delenv(strict.VARIABLE, raising=False)
    incident = incident_of(
        [dense(0.25)], cosh, at_sample_13(200.0).astype("float32"), np.zeros((32, 3)), tmp_path
    )
    assert incident.cause.name == "overflow"
    assert "the rule `masked-branch` failed: ValueError: no such axis" in incident.notes


def test_labels_that_count_from_1_are_seen_in_their_one_hot_code(tmp_path):
    def entropy(y, p):
        code = ops.cast(ops.equal(ops.cast(y, "int32"), ops.arange(3)[None]), "float32")
        return -ops.log(ops.sum(code * ops.softmax(p), axis=-1))

    y = 1 + np.arange(32)[:, None] % 2
    y[13] = 3
    incident = incident_of([dense(0.25)], entropy, X, y, tmp_path)
    assert (incident.cause.name, incident.origin.samples) == ("bad-target", (5,))
    assert incident.fix.verified and incident.fix.text.startswith("subtract 1 from `y`")


def test_scale_of_infinity_is_a_bad_number_and_no_mask(tmp_path):
    layers = [keras.layers.Rescaling(float("inf")), dense(0.25)]
    incident = incident_of(layers, "mse", np.abs(X) + 0.5, np.zeros((32, 3)), tmp_path)
    assert (incident.cause.name, incident.origin.op) == ("bad-weights", "multiply")
    assert "came in non-finite" not in str(incident)


def test_division_by_a_number_that_became_0_is_no_empty_mean(tmp_path):
    temperature = keras.Variable(0.0, trainable=False)

    def cooled(x):
        return ops.softmax(x / temperature)

    layers = [keras.layers.Lambda(cooled), dense(0.25)]
    incident = incident_of(layers, "mse", np.abs(X) + 0.5, np.zeros((32, 3)), tmp_path)
    assert incident.cause.name == "division-by-zero"
