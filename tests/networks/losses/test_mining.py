"""The mined losses against loops over all triplets; soundness, means, NaN, configuration."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from stayfinite.networks.losses import BatchHardTripletLoss, SemiHardTripletLoss
from tests.gradients import value_and_gradients

LOSSES = [BatchHardTripletLoss, SemiHardTripletLoss]
DISTANCES = ["euclidean", "squared_euclidean", "cosine"]
MARGINS = ["hinge", "softplus"]
RAGGED = [0, 0, 0, 1, 1, 2, 3, 3, 3, 3]


def batch(labels=RAGGED, dim=5, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(len(labels), dim))
    return np.array(labels), vectors


def distance_of(a, b, distance):
    if distance == "cosine":
        return 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    length = np.linalg.norm(a - b)
    return length if distance == "euclidean" else length**2


def margin_of(difference, margin, size):
    return max(0.0, difference + size) if margin == "hinge" else np.log1p(np.exp(difference))


def by_loops(kind, labels, vectors, distance, margin, size):
    """Each anchor's loss, `None` for a row that is no anchor."""
    far = [[distance_of(a, b, distance) for b in vectors] for a in vectors]
    every, found = range(len(labels)), []
    for a in every:
        positives = [far[a][p] for p in every if p != a and labels[p] == labels[a]]
        negatives = [far[a][n] for n in every if labels[n] != labels[a]]
        if not positives or not negatives:
            found.append(None)
        elif kind is BatchHardTripletLoss:
            found.append(margin_of(max(positives) - min(negatives), margin, size))
        else:
            chosen = [
                min([n for n in negatives if n > p], default=max(negatives)) for p in positives
            ]
            rows = [margin_of(p - n, margin, size) for p, n in zip(positives, chosen, strict=True)]
            found.append(np.mean(rows))
    return found


def number(tensor):
    return float(ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_it_is_what_loops_over_all_triplets_find(kind, distance, margin, shape):
    for seed in range(3):
        labels, vectors = batch(seed=seed)
        expected = by_loops(kind, labels, vectors, distance, margin, 0.7)
        options = {"distance": distance, "margin": margin, "margin_size": 0.7}
        rows = ops.convert_to_numpy(
            kind(reduction="none", **options)(labels.reshape(shape), vectors)
        )
        assert rows.shape == (10,)
        assert np.allclose(rows, [row or 0.0 for row in expected], rtol=1e-5, atol=1e-5)
        mean = np.mean([row for row in expected if row is not None])
        loss = kind(**options)(labels.reshape(shape), vectors)
        assert number(loss) == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients_are_those_of_small_steps(kind, distance):
    labels, vectors = batch(dim=3)
    loss = kind(distance, "softplus")
    _, (gradient,) = value_and_gradients(lambda x: loss(labels, x), vectors)
    measured = np.zeros_like(vectors)
    step = 1e-5
    for place in np.ndindex(vectors.shape):
        low, high = vectors.copy(), vectors.copy()
        low[place] -= step
        high[place] += step
        rows = [by_loops(kind, labels, each, distance, "softplus", 1.0) for each in (low, high)]
        means = [np.mean([row for row in each if row is not None]) for each in rows]
        measured[place] = (means[1] - means[0]) / (2 * step)
    assert np.allclose(gradient, measured, atol=2e-5)


@pytest.mark.parametrize("kind", LOSSES)
def test_reductions_and_weights(kind):
    labels, vectors = batch()
    weights = np.array([0.0, 1, 2, 0, 1, 5, 1, 1, 0, 3])
    is_anchor = np.array(labels != 2)
    rows = ops.convert_to_numpy(kind(reduction="none")(labels, vectors))
    weighted = {
        "none": rows * weights,
        "sum": (rows * weights).sum(),
        "sum_over_batch_size": (rows * weights).sum() / 9,
        "mean": (rows * weights).sum() / 9,
        "mean_with_sample_weight": (rows * weights).sum() / (weights * is_anchor).sum(),
    }
    for reduction, expected in weighted.items():
        for given in (weights, weights[:, None]):
            found = kind(reduction=reduction)(labels, vectors, sample_weight=given)
            assert np.allclose(ops.convert_to_numpy(found), expected, rtol=1e-5), reduction
    assert number(kind(reduction="mean_with_sample_weight")(labels, vectors)) == pytest.approx(
        rows.sum() / 9, rel=1e-5
    )


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("labels", [[4, 4, 4, 4], [0, 1, 2, 3], [7]])
def test_a_batch_without_an_anchor_has_loss_and_gradient_0(kind, labels):
    labels, vectors = batch(labels)
    value, (gradient,) = value_and_gradients(lambda x: kind()(labels, x), vectors)
    assert value == 0.0
    assert np.array_equal(gradient, np.zeros_like(vectors))


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_collapse_costs_the_margin_and_has_a_finite_gradient(kind, distance, margin, value):
    vectors = np.full((len(RAGGED), 4), value)
    loss = kind(distance, margin, margin_size=0.4)
    found, (gradient,) = value_and_gradients(lambda x: loss(np.array(RAGGED), x), vectors)
    assert found == pytest.approx(0.4 if margin == "hinge" else np.log(2), abs=1e-5)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_it_is_finite_at_every_finite_input(kind, distance, margin, dtype):
    scales = {"float32": [0, 1e-45, 1e-30, 1e-6, 1, 1e19, 3.4e38], "float16": [0, 6e-8, 1, 6e4]}
    random = np.random.default_rng(0)
    rows = [scale * random.choice([-1.0, 0.0, 1.0], 6) for scale in scales[dtype] for _ in range(4)]
    vectors = np.stack([*rows, rows[0], rows[-1]])
    labels = random.integers(0, 4, len(vectors))
    loss = kind(distance, margin)
    value, (gradient,) = value_and_gradients(lambda x: loss(labels, x), vectors, dtype=dtype)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def spoiled(row, bad):
    labels, vectors = batch()
    vectors[row, 2] = bad
    return labels, vectors.astype("float32")


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_embedding_is_never_masked(kind, distance, margin, bad):
    # Row 5 is alone in its class, so no anchor; it is a negative of all others.
    for row in (0, 5):
        labels, vectors = spoiled(row, bad)
        assert np.isnan(number(kind(distance, margin)(labels, vectors)))


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_compiler_does_not_mask_it_either(kind, bad):
    labels, vectors = spoiled(5, bad)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Activation("linear")])
    jit_compile = keras.backend.backend() != "torch"
    model.compile("sgd", kind(), jit_compile=jit_compile)
    assert np.isnan(model.evaluate(vectors, labels, batch_size=10, verbose=0))


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("reduction", ["sum", "mean", "mean_with_sample_weight"])
def test_a_bad_embedding_is_not_masked_without_anchors_either(kind, reduction):
    vectors = np.ones((4, 3), "float32")
    vectors[1] = np.nan
    for labels in ([1, 1, 1, 1], [0, 1, 2, 3]):
        assert np.isnan(number(kind(reduction=reduction)(np.array(labels), vectors)))


@pytest.mark.parametrize("kind", LOSSES)
def test_a_bad_label_is_not_masked(kind):
    labels, vectors = batch()
    labels = labels.astype("float32")
    labels[3] = np.nan
    assert np.isnan(number(kind()(labels, vectors)))


@pytest.mark.parametrize("kind", LOSSES)
def test_large_labels_are_not_rounded_into_one(kind):
    labels, vectors = batch()
    expected = number(kind()(labels, vectors))
    assert number(kind()((labels + 2**30).astype("int32"), vectors)) == expected


@pytest.mark.parametrize("kind", LOSSES)
def test_the_order_of_the_rows_and_the_names_of_the_classes_do_not_matter(kind):
    labels, vectors = batch()
    order = np.random.default_rng(1).permutation(len(labels))
    expected = number(kind()(labels, vectors))
    assert number(kind()(100 - labels[order], vectors[order])) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", LOSSES)
def test_configuration_round_trip_through_json(kind):
    loss = kind("cosine", margin="softplus", margin_size=0.3, reduction="sum", name="mine")
    serialized = keras.saving.serialize_keras_object(loss)
    assert serialized["registered_name"] == f"stayfinite>{kind.__name__}"
    restored = keras.saving.deserialize_keras_object(json.loads(json.dumps(serialized)))
    assert type(restored) is kind
    assert restored.get_config() == loss.get_config()


@pytest.mark.parametrize("kind", LOSSES)
def test_a_wrong_option_or_shape_is_named(kind):
    with pytest.raises(ValueError, match=r"`distance` must be one of .* distance='manhattan'"):
        kind("manhattan")
    with pytest.raises(ValueError, match="`dtype` must be float32 or float64"):
        kind(dtype="bfloat16")
    with pytest.raises(
        ValueError, match=r"one-hot labels pass their argmax\. Received: .*\(4, 3\)"
    ):
        kind()(np.zeros((4, 3)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"shape \(batch, dim\)\. Received: .*\(4, 3, 2\)"):
        kind()(np.zeros(4), np.zeros((4, 3, 2)))


@pytest.mark.parametrize("kind", LOSSES)
# Without `jit`, JAX compiles each operation by itself, for each size of a batch.
@pytest.mark.parametrize(
    "jit_compile", [True, pytest.param(False, marks=pytest.mark.slow_on("jax"))]
)
def test_it_trains_compiled_with_batches_of_several_sizes(kind, jit_compile):
    if jit_compile and keras.backend.backend() == "torch":
        pytest.skip("torch.compile needs a C++ compiler")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    model.compile(keras.optimizers.Adam(0.05), kind("cosine"), jit_compile=jit_compile)
    x = np.random.default_rng(0).normal(size=(34, 6)).astype("float32")
    labels = np.argmax(x[:, :3], axis=1)
    history = model.fit(x, labels, batch_size=16, epochs=8, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert history[-1] < 0.9 * history[0]
