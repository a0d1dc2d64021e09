"""Logs of an epoch that a guard adds to, on each backend, in a training that keeps its bits."""

from __future__ import annotations

import csv
import warnings

import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.experiments import recent_steps

X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def trained(*callbacks, optimizer="adam", **options):
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Dense(8),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer, "mse", metrics=["mae"])
    settings = {"batch_size": 8, "epochs": 2, "verbose": 0, "shuffle": False}
    return model, model.fit(X, Y, callbacks=list(callbacks), **{**settings, **options})


def test_callbacks_show_them_and_the_training_keeps_its_bits(tmp_path):
    file = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    logged, history = trained(stayfinite.Guard(log=True), file)
    plain, plain_history = trained()
    for one, other in zip(logged.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert history.history["loss"] == plain_history.history["loss"]
    assert history.history["mae"] == plain_history.history["mae"]
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["gradient_norm"]) for row in rows] == history.history["gradient_norm"]
    assert history.history["num_bad_steps"] == [0, 0]
    assert "loss_scale" not in history.history


@pytest.mark.parametrize("is_scaled", [False, True])
def test_norm_is_that_of_the_gradients_on_the_last_batch(is_scaled):
    """With a learning rate of 0, so that the weights stay those of the last step."""
    optimizer = keras.optimizers.SGD(0.0)
    if is_scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024.0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(optimizer, "mse")
    guard = stayfinite.Guard(log=True)
    history = model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, callbacks=[guard])
    x, y, weights = X[16:], Y[16:], model.get_weights()[0]
    gradient = 2 / 8 * x.T @ (x @ weights - y)
    assert history.history["gradient_norm"][0] == pytest.approx(np.linalg.norm(gradient), 1e-4)
    assert history.history.get("loss_scale") == ([1024.0] if is_scaled else None)


@pytest.mark.usefixtures("without_trials")
def test_steps_that_are_skipped_are_counted(tmp_path):
    x = X.copy()
    x[9] = np.nan
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    guard = stayfinite.Guard("skip", log=True, keep=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # what the policy says
        history = model.fit(x, Y, batch_size=8, verbose=0, shuffle=False, callbacks=[guard])
    assert history.history["num_bad_steps"] == [1]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the callback needs TensorFlow")
def test_tensorboard_shows_the_incident(tmp_path, monkeypatch):
    # On a busy machine the charts are left out for the time that they take.
    monkeypatch.setattr(recent_steps, "LEAST", 60)
    monkeypatch.setattr(recent_steps, "MOST", 60)
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    x = X.copy()
    x[9] = np.nan
    layers = [keras.Input((4,)), keras.layers.Dense(1, name="dense")]
    model = keras.Sequential(layers, name="sequential")
    model.compile("sgd", "mse")
    board = keras.callbacks.TensorBoard(tmp_path / "logs", write_graph=False)
    callbacks = [stayfinite.Guard(keep=tmp_path), board]
    with pytest.raises(stayfinite.NonFiniteError) as stopped:
        model.fit(x, Y, batch_size=8, verbose=0, shuffle=False, callbacks=callbacks)
    found = events.EventAccumulator(str(tmp_path / "logs" / "train"))
    found.Reload()
    (event,) = found.Tensors("stayfinite")
    (text,) = event.tensor_proto.string_val
    assert event.step == stopped.value.incident.where.step == 1
    assert text.decode().startswith("    error[bad-input]: input `x` of the batch holds nan\n")
    for chart in ("loss", "gradients of sequential/dense", "updates of sequential/dense"):
        steps = [event.step for event in found.Tensors(f"stayfinite/{chart}")]
        assert steps == [0, 1]
