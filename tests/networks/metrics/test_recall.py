"""Recall at k against loops over all neighbours, in a batch and over a whole set."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import stayfinite.networks.metrics.recall as recall
from stayfinite.networks.metrics import RecallAtK, recall_at_k, verification_curve

DISTANCES = ["cosine", "euclidean", "squared_euclidean"]


def rows(num_rows=40, num_classes=6, dim=4, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, num_classes, num_rows)
    centres = random.normal(size=(num_classes, dim))
    return labels, (centres[labels] + random.normal(size=(num_rows, dim))).astype("float32")


def hits_by_loops(labels, vectors, k, distance):
    """For each row, `None` if it is alone in its class, else whether it is a hit."""
    found = []
    vectors = vectors.astype("float64")
    for a in range(len(labels)):
        far = []
        for b in range(len(labels)):
            if b != a:
                if distance == "cosine":
                    lengths = np.linalg.norm(vectors[a]) * np.linalg.norm(vectors[b])
                    length = 1 - (vectors[a] @ vectors[b] / lengths if lengths else 0.0)
                else:
                    length = np.linalg.norm(vectors[a] - vectors[b])
                far.append((length, labels[b] == labels[a]))
        alone = not any(same for _, same in far)
        # At the same distance `False` is first: the rows of other classes.
        found.append(None if alone else any(same for _, same in sorted(far)[:k]))
    return found


def mean_of(hits):
    return np.mean([hit for hit in hits if hit is not None])


def number(tensor):
    return float(ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("k", [1, 2, 5, 100])
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_both_are_what_loops_find(distance, k, shape):
    for seed in range(3):
        labels, vectors = rows(seed=seed)
        expected = mean_of(hits_by_loops(labels, vectors, k, distance))
        labels = labels.reshape(shape)
        assert recall_at_k(vectors, labels, (k,), distance)[k] == pytest.approx(expected)
        assert number(RecallAtK(k, distance)(labels, vectors)) == pytest.approx(expected, rel=1e-6)


def test_a_set_in_many_blocks_is_the_same(monkeypatch):
    labels, vectors = rows(101)
    expected = recall_at_k(vectors, labels)
    monkeypatch.setattr(recall, "BLOCK", 300)
    assert recall_at_k(vectors, labels) == expected


def test_a_row_alone_in_its_class_is_a_neighbour_but_is_not_counted():
    labels, vectors = [0, 0, 1], np.array([[0.0], [1.0], [0.1]])
    # The lone row is nearest to both others.
    assert recall_at_k(vectors, labels, (1, 2), "euclidean") == {1: 0.0, 2: 1.0}
    metric = RecallAtK(1, "euclidean")
    assert number(metric(np.array(labels), vectors)) == 0.0
    assert number(metric.count) == 2.0


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e3])
@pytest.mark.parametrize("num_rows", [12, 301])
def test_a_collapsed_embedding_has_recall_0(distance, value, num_rows):
    labels = np.arange(num_rows) * 3 // num_rows  # sorted, as a folder is read
    vectors = np.full((num_rows, 37), value, "float32") * np.linspace(0.3, 1, 37, dtype="float32")
    assert recall_at_k(vectors, labels, (1, 3), distance) == {1: 0.0, 3: 0.0}
    assert number(RecallAtK(3, distance)(labels, vectors)) == 0.0


@pytest.mark.parametrize("distance", DISTANCES)
def test_rounding_is_not_taken_for_a_distance(distance):
    labels = np.arange(300) // 100
    vectors = np.tile(np.linspace(0.3, 1, 37, dtype="float32"), (300, 1))
    # The last bit depends on the class: a network that rounds by the place in the batch.
    vectors[labels == 1] = np.nextafter(vectors[labels == 1], 2)
    vectors[labels == 2] = np.nextafter(vectors[labels == 2], 0)
    assert recall_at_k(vectors, labels, (1, 3), distance) == {1: 0.0, 3: 0.0}
    assert number(RecallAtK(3, distance)(labels, vectors)) == 0.0
    curve = verification_curve(vectors, labels, distance)
    assert (curve.auc, curve.equal_error_rate) == (0.5, 0.5)


def test_equal_images_of_one_class_are_found():
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert recall_at_k(vectors, [0, 0, 1, 1], (1,)) == {1: 1.0}


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_unit_does_not_matter(distance, scale):
    labels, vectors = rows()
    assert recall_at_k(vectors.astype("float64") * scale, labels, (1, 5), distance) == recall_at_k(
        vectors, labels, (1, 5), distance
    )


def test_a_far_origin_does_not_matter():
    labels, vectors = rows()
    vectors = vectors.astype("float64")
    moved = vectors + 1e6
    assert recall_at_k(moved, labels, distance="euclidean") == recall_at_k(
        vectors, labels, distance="euclidean"
    )


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_nan_is_a_miss_in_a_batch_and_an_error_in_a_set(distance):
    labels = np.array([0, 0, 1, 1])
    vectors = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]], "float32")
    assert number(RecallAtK(1, distance)(labels, vectors)) == 1.0
    vectors[3] = np.nan
    assert number(RecallAtK(1, distance)(labels, vectors)) == 0.0
    with pytest.raises(ValueError, match="1 of 4 embeddings that are not, the first at index 3"):
        recall_at_k(vectors, labels, distance=distance)


def test_batches_add_up_and_weights_count():
    metric = RecallAtK(2)
    labels, vectors = rows(60)
    weights = np.random.default_rng(2).uniform(size=60)
    hits, total = [], 0.0
    for begin in (0, 25, 50):
        part = slice(begin, begin + 25)
        metric.update_state(labels[part], vectors[part], sample_weight=weights[part])
        for hit, weight in zip(
            hits_by_loops(labels[part], vectors[part], 2, "cosine"), weights[part], strict=True
        ):
            if hit is not None:
                hits.append(weight * hit)
                total += weight
    assert number(metric.result()) == pytest.approx(sum(hits) / total, rel=1e-5)
    metric.reset_state()
    assert number(metric.result()) == 0.0
    metric.update_state(labels, vectors, sample_weight=weights[:, None])
    assert number(metric.count) == pytest.approx(weights.sum(), rel=1e-5)


def test_configuration_round_trip_through_json():
    metric = RecallAtK(5, "euclidean", name="mine")
    serialized = keras.saving.serialize_keras_object(metric)
    restored = keras.saving.deserialize_keras_object(json.loads(json.dumps(serialized)))
    assert isinstance(restored, RecallAtK)
    assert restored.get_config() == metric.get_config()
    assert RecallAtK(3).name == "recall_at_3"


@pytest.mark.parametrize("run_eagerly", [True, False])
def test_it_is_counted_during_a_training(run_eagerly):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, "linear")])
    model.layers[0].kernel.assign(np.eye(4))
    model.compile("sgd", "mse", weighted_metrics=[RecallAtK(1)], run_eagerly=run_eagerly)
    labels, vectors = rows(50)
    expected = [
        hit
        for begin in (0, 20, 40)
        for hit in hits_by_loops(
            labels[begin : begin + 20], vectors[begin : begin + 20], 1, "cosine"
        )
    ]
    found = model.evaluate(vectors, labels[:, None], batch_size=20, verbose=0, return_dict=True)
    assert found["recall_at_1"] == pytest.approx(mean_of(expected), rel=1e-5)
    logs = model.fit(vectors, labels[:, None], batch_size=20, epochs=1, verbose=0).history
    assert 0 <= logs["recall_at_1"][0] <= 1


@pytest.mark.parametrize("k", [0, -1, 1.5, "1"])
def test_a_wrong_k_is_named(k):
    with pytest.raises(ValueError, match="`k` must be a whole number"):
        RecallAtK(k)
    with pytest.raises(ValueError, match="`k` must be a whole number"):
        recall_at_k([[0.0], [1.0]], [0, 0], ks=(k,))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="`distance` must be one of"):
        RecallAtK(1, "manhattan")
    with pytest.raises(ValueError, match="`distance` must be one of"):
        recall_at_k([[0.0], [1.0]], [0, 0], distance="manhattan")
    with pytest.raises(ValueError, match=r"embeddings of shape \(2, 1\), labels of shape \(3,\)"):
        recall_at_k([[0.0], [1.0]], [0, 0, 1])
    with pytest.raises(
        ValueError, match=r"a class with at least two images\. Received: 2 images of 2"
    ):
        recall_at_k([[0.0], [1.0]], [0, 1])
    with pytest.raises(ValueError, match="one-hot labels pass their argmax"):
        RecallAtK()(np.zeros((4, 3)), np.zeros((4, 2)))
