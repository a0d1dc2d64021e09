"""The stop stands whatever happens to its explanation."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.diagnose import locate
from stayfinite.explanation import pipeline
from stayfinite.frameworks.jax.backend import JaxBackend
from stayfinite.frameworks.jax.step import JaxStep
from stayfinite.report import folder

ROWS = 24
X = np.random.default_rng(0).normal(size=(ROWS, 3)).astype("float32")
X[17] = np.nan


@pytest.fixture
def stopped(tmp_path):
    """Trains until the guard stops it; returns the incident."""

    def stop():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", loss="mse")
        guard = stayfinite.Guard(keep=tmp_path / "kept")
        with pytest.raises(stayfinite.NonFiniteError) as caught:
            options = {"batch_size": 8, "shuffle": False, "verbose": 0}
            model.fit(X, np.zeros(ROWS), callbacks=[guard], **options)
        assert all(np.isfinite(weight).all() for weight in model.get_weights())
        return caught.value.incident

    return stop


@pytest.fixture
def not_strict(monkeypatch):
    """Internal errors as users see them: noted, not raised."""
    monkeypatch.delenv("STAYFINITE_STRICT")


def broken(*args, **kwargs):
    raise RuntimeError("out of luck")


def test_explanation_that_is_whole(stopped, tmp_path):
    incident = stopped()
    assert (incident.cause.name, incident.where.step) == ("bad-input", 2)
    assert folder.read(tmp_path / "kept" / "incident-000002") == incident
    kept = tmp_path / "kept" / "incident-000002" / "last_good.weights.h5"
    assert incident.kept.weights == str(kept)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (pipeline, "diagnose"),
        (locate, "classify"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__.split(".")[-1],
)
def test_error_inside_the_explanation_is_a_note(
    owner, name, stopped, tmp_path, monkeypatch, not_strict
):
    monkeypatch.setattr(owner, name, broken)
    incident = stopped()
    assert (incident.cause.name, incident.cause.certainty) == ("unknown", "unknown")
    assert incident.where.step == 2
    assert any("RuntimeError: out of luck" in note for note in incident.notes)
    assert folder.read(tmp_path / "kept" / "incident-000002") == incident
    assert "out of luck" in stayfinite.explain(incident)


def test_a_step_that_cannot_be_run_again_is_said_to_be_one(stopped, monkeypatch, not_strict):
    def refused(*args):
        raise TypeError("\x1b[1mcalled twice\x1b[0m")

    monkeypatch.setattr(pipeline.CountedStep, "run", refused)
    incident = stopped()
    assert incident.cause.name == "unknown"
    assert incident.notes == ("running the step again failed: TypeError: called twice",)


@pytest.mark.parametrize("name", ["try_advice", "find_samples"])
def test_error_after_the_diagnosis_leaves_the_cause(name, stopped, monkeypatch, not_strict):
    monkeypatch.setattr(pipeline, name, broken)
    incident = stopped()
    assert incident.cause.name == "bad-input"
    assert incident.notes[0] == "the explanation failed: RuntimeError: out of luck"


def test_error_in_the_search_for_a_fix_leaves_the_cause(stopped, monkeypatch, not_strict):
    monkeypatch.setattr(pipeline, "find_source_fix", broken)
    incident = stopped()
    assert (incident.cause.name, incident.where.step) == ("bad-input", 2)
    assert "the search for a fix failed: RuntimeError: out of luck" in incident.notes


def test_error_in_the_search_for_a_remedy_leaves_the_cause(stopped, monkeypatch, not_strict):
    monkeypatch.setattr(pipeline, "find_remedy", broken)
    incident = stopped()
    assert (incident.cause.name, incident.where.step) == ("bad-input", 2)
    assert "the search for a remedy failed: RuntimeError: out of luck" in incident.notes


def test_strict_mode_raises_internal_errors(stopped, monkeypatch):
    monkeypatch.setattr(pipeline, "find_remedy", broken)
    with pytest.raises(RuntimeError, match="out of luck"):
        stopped()


def test_step_that_cannot_be_made_again_is_a_note(stopped, monkeypatch, not_strict):
    monkeypatch.setattr(JaxBackend, "step", broken)
    incident = stopped()
    assert (incident.cause.name, incident.where.step) == ("unknown", 2)
    assert any("out of luck" in note for note in incident.notes)


@pytest.mark.parametrize("name", ["create", "write"])
def test_full_disk_takes_nothing_but_the_folder_away(name, stopped, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, name, full)
    incident = stopped()
    assert incident.cause.name == "bad-input"
    assert any("No space left on device" in note for note in incident.notes)


def test_one_trial_that_fails_is_told_and_the_others_go_on(stopped, monkeypatch):
    plain = JaxStep.run

    def run(self, change):
        return broken() if type(change).__name__ == "WiderDtype" else plain(self, change)

    monkeypatch.setattr(JaxStep, "run", run)
    incident = stopped()
    tried = {trial.change: trial for trial in incident.trials}
    assert tried["float64"].detail == "could not be tried: RuntimeError: out of luck"
    assert tried["float64"].outcome == "not-tried"
    assert tried["without sample 1"].detail.startswith("loss ")
    assert tried["without sample 1"].is_fix
    assert incident.cause.name == "bad-input"


def test_step_that_is_finite_when_run_again_is_not_reproduced(stopped, monkeypatch):
    plain = JaxBackend.step

    def step_on_clean_data(self, failure):
        clean = dataclasses.replace(failure.healthy[0], step=failure.bad.step)
        return plain(self, dataclasses.replace(failure, bad=clean))

    monkeypatch.setattr(JaxBackend, "step", step_on_clean_data)
    incident = stopped()
    assert (incident.cause.name, incident.fix) == ("not-reproduced", None)
    assert incident.recurrence.kind == "compiled-only"
    assert incident.because[0] == (
        "compiled only: the compiled step was non-finite again in 5 of 5 runs"
    )


def test_a_metric_that_a_second_compile_adds_takes_nothing_away(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    options = {"batch_size": 8, "shuffle": False, "verbose": 0}
    model.compile("sgd", loss="mse")
    model.fit(X[:16], np.zeros(16), callbacks=[stayfinite.Guard(keep=tmp_path)], **options)
    model.compile("sgd", loss="mse", metrics=["mae"])
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        model.fit(X, np.zeros(ROWS), callbacks=[stayfinite.Guard(keep=tmp_path)], **options)
    assert caught.value.incident.cause.name == "bad-input"
    assert not [note for note in caught.value.incident.notes if "failed" in note]
