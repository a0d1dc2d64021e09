"""The verification curve against all pairs by hand and against scikit-learn."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from stayfinite.networks.metrics import verification_curve

DISTANCES = ["cosine", "euclidean", "squared_euclidean"]


def rows(num_rows=60, num_classes=5, dim=4, seed=0, spread=1.0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, num_classes, num_rows)
    centres = random.normal(size=(num_classes, dim))
    return centres[labels] + spread * random.normal(size=(num_rows, dim)), labels


def pairs_by_hand(vectors, labels, distance):
    same, far = [], []
    for a, b in itertools.combinations(range(len(labels)), 2):
        x, y = vectors[a], vectors[b]
        if distance == "cosine":
            far.append(1 - x @ y / np.linalg.norm(x) / np.linalg.norm(y))
        else:
            far.append(np.sum((x - y) ** 2) ** (0.5 if distance == "euclidean" else 1))
        same.append(labels[a] == labels[b])
    return np.array(same), np.array(far)


@pytest.mark.parametrize("distance", DISTANCES)
def test_it_is_what_all_pairs_say(distance):
    vectors, labels = rows()
    curve = verification_curve(vectors, labels, distance)
    same, far = pairs_by_hand(vectors, labels, distance)
    assert (curve.num_same, curve.num_different) == (same.sum(), (~same).sum())
    for threshold, false, true in zip(
        curve.thresholds, curve.false_accept_rates, curve.true_accept_rates, strict=True
    ):
        # The last digit of a distance may differ, the pair at the threshold itself with it.
        accepted = far <= threshold + 1e-12
        assert true == pytest.approx(accepted[same].mean())
        assert false == pytest.approx(accepted[~same].mean())
    assert curve.auc == pytest.approx(roc_auc_score(same, -far))


def test_ends_and_order():
    curve = verification_curve(*rows())
    assert (np.diff(curve.thresholds) > 0).all()
    for rates in (curve.false_accept_rates, curve.true_accept_rates):
        assert rates[0] == 0 and rates[-1] == 1 and (np.diff(rates) >= 0).all()


def test_the_equal_error_rate_is_where_the_errors_meet():
    vectors, labels = rows(200)
    curve = verification_curve(vectors, labels)
    same, far = pairs_by_hand(vectors, labels, "cosine")
    false, true, _ = roc_curve(same, -far)
    nearest = np.argmin(np.abs(false - (1 - true)))
    assert curve.equal_error_rate == pytest.approx(false[nearest], abs=2e-3)
    assert 0.05 < curve.equal_error_rate < 0.45


def test_classes_far_apart_have_no_error():
    vectors, labels = rows(spread=1e-3)
    curve = verification_curve(vectors, labels, "euclidean")
    assert (curve.auc, curve.equal_error_rate, curve.true_accept_at(0)) == (1.0, 0.0, 1.0)
    assert len(curve.thresholds) < 10


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_a_collapsed_embedding_tells_nothing(distance, value):
    labels = np.arange(50) // 10
    curve = verification_curve(np.full((50, 33), value), labels, distance)
    assert (curve.auc, curve.equal_error_rate, curve.true_accept_at(0.5)) == (0.5, 0.5, 0.0)


def test_true_accepts_at_a_rate_of_false_ones():
    vectors, labels = rows()
    curve = verification_curve(vectors, labels)
    same, far = pairs_by_hand(vectors, labels, "cosine")
    for rate in (0.0, 0.01, 0.1, 0.5, 1.0):
        best = max(
            [(far[same] <= t).mean() for t in far if (far[~same] <= t).mean() <= rate], default=0.0
        )
        assert curve.true_accept_at(rate) == pytest.approx(best)
    with pytest.raises(ValueError, match="`false_accept_rate` must be from 0 to 1"):
        curve.true_accept_at(1.1)


def test_drawn_pairs_stand_for_all():
    vectors, labels = rows(400, num_classes=7)
    whole = verification_curve(vectors, labels)
    drawn = verification_curve(vectors, labels, max_pairs=5000)
    assert (drawn.num_same, drawn.num_different) == (5000, 5000)
    # Of 5,000 pairs, about four standard deviations.
    assert drawn.auc == pytest.approx(whole.auc, abs=0.025)
    again = verification_curve(vectors, labels, max_pairs=5000)
    assert np.array_equal(again.thresholds, drawn.thresholds)
    other = verification_curve(vectors, labels, max_pairs=5000, seed=1)
    assert not np.array_equal(other.thresholds, drawn.thresholds)


def test_drawn_pairs_are_drawn_evenly_from_classes_of_all_sizes():
    # Distances on a line name their pair: row n is at 2 ** n.
    labels = [0, 1, 1, 0, 1, 2, 0]
    vectors = 2.0 ** np.arange(7)[:, None]
    same, far = pairs_by_hand(vectors, np.array(labels), "euclidean")
    curve = verification_curve(vectors, labels, "euclidean", max_pairs=5)
    assert set(curve.thresholds[1:]) <= set(far)
    counts = {}
    for seed in range(800):
        found = verification_curve(vectors, labels, "euclidean", max_pairs=1, seed=seed)
        for threshold in found.thresholds[1:]:
            counts[threshold] = counts.get(threshold, 0) + 1
    for kind in (same, ~same):
        found = [counts.get(each, 0) for each in far[kind]]
        mean = 800 / kind.sum()
        assert np.abs(np.array(found) - mean).max() < 5 * np.sqrt(mean)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_bad_embeddings_are_refused(bad):
    vectors, labels = rows()
    vectors[7, 1] = bad
    with pytest.raises(ValueError, match="1 of 60 embeddings that are not, the first at index 7"):
        verification_curve(vectors, labels)


def test_wrong_arguments_are_named():
    vectors, labels = rows()
    with pytest.raises(ValueError, match="`distance` must be one of"):
        verification_curve(vectors, labels, "manhattan")
    with pytest.raises(ValueError, match="`max_pairs` must be 1 or more"):
        verification_curve(vectors, labels, max_pairs=0)
    for alone in (np.zeros(60), np.arange(60)):
        with pytest.raises(ValueError, match="at least two classes, and one of them two images"):
            verification_curve(vectors, alone)
    with pytest.raises(ValueError, match="`labels` must be class numbers"):
        verification_curve(vectors, np.where(labels == 1, np.nan, labels))
