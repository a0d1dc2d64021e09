"""A training whose failing step is kept for the test."""

import importlib

import pytest

import stayfinite


@pytest.fixture
def failure(monkeypatch, tmp_path, without_trials):
    """A function that trains until a step fails, and gives the step and its diagnosis."""
    found = []
    explanation = importlib.import_module("stayfinite.explanation.pipeline")

    def keep(step, diagnosis, wider, healthy, path):
        found.append((step, diagnosis))

    monkeypatch.setattr(explanation, "find_source_fix", keep)

    def train(model, x, y):
        with pytest.raises(stayfinite.NonFiniteError):
            model.fit(
                x,
                y,
                batch_size=4,
                shuffle=False,
                verbose=0,
                callbacks=[stayfinite.Guard(keep=tmp_path)],
            )
        return found[0]

    return train
