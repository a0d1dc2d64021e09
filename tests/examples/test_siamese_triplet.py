"""What the example does without its ResNet50: the triplets it draws, and its two losses."""

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
    return importlib.import_module("siamese_triplet")


@pytest.fixture
def fixed(example):
    return importlib.import_module("siamese_triplet_fixed")


def test_a_positive_is_its_own_anchor_in_the_second_epoch_and_not_before(example, monkeypatch):
    # The NaN that the README shows follows from these draws alone, on every backend.
    monkeypatch.setattr("sys.argv", ["siamese_triplet.py"])
    options = example.parse_arguments("saved_model")
    (_, labels), _ = example.load_images(8)
    triplets = example.Triplets(labels, labels, options.batch_size, options.steps, options.seed)
    num_equal = []
    for _ in range(options.epochs):
        triplets.on_epoch_end()  # `fit` calls it before the first epoch too
        anchors, positives, negatives = triplets.indices[:, :, 0]
        assert (labels[anchors] == labels[positives]).all()
        assert (labels[anchors] != labels[negatives]).all()
        num_equal.append(int((anchors == positives).sum()))
    assert num_equal[:2] == [0, 1]


def of_three(loss, **options):
    """The loss as a function of three tensors: the example takes a list, as a Lambda layer does."""
    return lambda *parts: loss(parts, **options)


def vectors(rows):
    generator = np.random.default_rng(0)
    draw = generator.uniform(0.1, 1, (3, rows, 8))
    return [part / np.linalg.norm(part, axis=1, keepdims=True) for part in draw]


def test_the_loss_has_a_nan_gradient_where_anchor_and_positive_are_equal(example):
    anchor, _, negative = vectors(1)
    value, gradients = value_and_gradients(of_three(example.triplet_loss), anchor, anchor, negative)
    assert np.isfinite(value)
    assert np.isnan(gradients[0]).all()


def test_the_fixed_loss_has_a_finite_one_and_is_the_same_elsewhere(example, fixed):
    anchor, _, negative = vectors(5)
    _, gradients = value_and_gradients(of_three(fixed.triplet_loss), anchor, anchor, negative)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    for margin in ("maxplus", "softplus"):
        results = []
        for module in (example, fixed):
            loss = of_three(module.triplet_loss, margin=margin)
            results.append(value_and_gradients(loss, *vectors(5)))
        (value, gradients), (fixed_value, fixed_gradients) = results
        assert np.allclose(value, fixed_value)
        assert np.allclose(gradients, fixed_gradients)
