"""The example of a collapsing embedding runs, and one unit that is left makes embeddings equal."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from tests.gradients import value_and_gradients

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("siamese_collapse")


def test_it_runs_for_two_short_epochs(example, monkeypatch, capsys):
    small = "--image-size 8 --batch-size 4 --epochs 2 --steps 2"
    monkeypatch.setattr("sys.argv", ["siamese_collapse.py", *small.split()])
    example.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 0", "epoch 1"]
    assert all("of 128 embeddings are 0" in line for line in lines)


def test_two_images_with_the_same_single_unit_have_equal_embeddings(example):
    anchor, positive, negative = np.zeros((3, 1, 8), "float32")
    anchor[0, 3], positive[0, 3], negative[0, 5] = 0.5, 2.0, 1.0

    def loss(*parts):
        return example.triplet_loss([example.l2_normalize(part) for part in parts])

    value, gradients = value_and_gradients(loss, anchor, positive, negative)
    assert np.isfinite(value)
    assert np.isnan(gradients[0]).any()
