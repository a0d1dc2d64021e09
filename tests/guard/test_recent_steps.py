"""The figures in the folder of an incident are those of the training."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.experiments import recent_steps
from stayfinite.report.figures import read_figures

RATE = 0.01
SIZE = 4


@pytest.fixture(autouse=True)
def time_enough(monkeypatch):
    monkeypatch.setattr(recent_steps, "LEAST", 60)
    monkeypatch.setattr(recent_steps, "MOST", 60)


def made():
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(RATE), "mse")
    return model


def data(bad_step):
    numbers = np.random.default_rng(0)
    x = numbers.normal(size=(SIZE * (bad_step + 2), 3)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    x[SIZE * bad_step + 1, 2] = np.nan
    return x, y


def figures_of(tmp_path, bad_step):
    x, y = data(bad_step)
    options = {"batch_size": SIZE, "shuffle": False, "verbose": 0}
    guard = stayfinite.Guard(keep=tmp_path)
    with pytest.raises(stayfinite.NonFiniteError) as stopped:
        made().fit(x, y, callbacks=[guard], **options)
    assert stopped.value.incident.where.step == bad_step
    return read_figures(tmp_path / f"incident-{bad_step:06d}")


@pytest.mark.slow_on("jax", "tensorflow")
def test_steps_since_a_kept_state_are_those_of_the_training(tmp_path):
    figures, model = figures_of(tmp_path, 3), made()
    x, y = data(3)
    # The loss before each update.
    losses = []
    for step in range(3):
        rows = slice(SIZE * step, SIZE * (step + 1))
        losses.append(model.evaluate(x[rows], y[rows], verbose=0))
        model.train_on_batch(x[rows], y[rows])
    recent = figures.recent
    assert recent.in_sequence
    assert [each.step for each in recent.steps] == [0, 1, 2, 3]
    assert [each.loss for each in recent.steps[:3]] == pytest.approx(losses, rel=1e-4)
    assert np.isnan(recent.steps[3].loss)
    means = np.cumsum(losses) / [1, 2, 3]
    assert [each.step for each in figures.losses] == [0, 1, 2]
    assert [each.loss for each in figures.losses] == pytest.approx(list(means), rel=1e-4)
    for each in recent.steps[:3]:
        assert each.learning_rate == pytest.approx(RATE)
        assert len(each.gradients) == 2
        for layer, norm in each.gradients.items():
            assert each.updates[layer] == pytest.approx(RATE * norm, rel=1e-3)


@pytest.mark.slow_on("jax")
def test_without_a_kept_state_each_batch_runs_on_the_same_weights(tmp_path):
    recent = figures_of(tmp_path, 40).recent
    assert not recent.in_sequence
    numbers = [each.step for each in recent.steps]
    # Where flags are read late, more batches are kept.
    assert numbers == list(range(numbers[0], 41)) and numbers[0] in range(16, 33)
    finite = [np.isfinite(each.loss) for each in recent.steps]
    assert finite == [True] * (len(numbers) - 1) + [False]
