"""Every loss is finite in value and in gradient at every finite input."""

import itertools

import numpy as np
import pytest
from keras import ops

from stayfinite.networks.losses import l2_norm, l2_normalize, triplet_loss
from tests.gradients import value_and_gradients

DIM = 6

# What a row may hold, in powers of ten that fit the dtype: nothing, denormal, small, ordinary,
# large (its square overflows), nearly the largest, and everything at once.
SCALES = {
    "float32": [0.0, 1e-45, 1.2e-38, 1e-30, 1e-12, 1e-6, 1.0, 1e10, 1e19, 1e30, 3.4e38],
    "bfloat16": [0.0, 1e-40, 1.2e-38, 1e-30, 1e-12, 1e-6, 1.0, 1e10, 1e19, 1e30, 3.3e38],
    "float16": [0.0, 6e-8, 6.2e-5, 1e-3, 1.0, 100.0, 6e4],
}


def rows(dtype):
    """Rows of every scale: all entries alike, one entry alone, mixed signs, mixed scales."""
    generator = np.random.default_rng(0)
    found = []
    for scale in SCALES[dtype]:
        alone = np.zeros(DIM)
        alone[2] = scale
        found += [np.full(DIM, scale), np.full(DIM, -scale), alone]
        found.append(scale * generator.uniform(-1, 1, DIM))
    found.append(np.resize(SCALES[dtype], DIM) * generator.choice([-1.0, 1.0], DIM))
    return np.stack(found)


def triplets(dtype):
    """Three arrays: every pair of rows as anchor and positive, with negatives in turn."""
    pool = rows(dtype)
    pairs = np.array(list(itertools.product(range(len(pool)), repeat=2)))
    # Three negatives a pair: the anchor itself, the positive itself, and one of the others.
    others = np.random.default_rng(1).integers(len(pool), size=len(pairs))
    anchor = np.tile(pairs[:, 0], 3)
    positive = np.tile(pairs[:, 1], 3)
    negative = np.concatenate([pairs[:, 0], pairs[:, 1], others])
    return pool[anchor], pool[positive], pool[negative]


@pytest.mark.parametrize("dtype", SCALES)
@pytest.mark.parametrize("margin", ["hinge", "softplus"])
@pytest.mark.parametrize("distance", ["euclidean", "squared_euclidean", "cosine"])
def test_triplet_loss_is_finite_everywhere(distance, margin, dtype):
    def loss(anchor, positive, negative):
        return triplet_loss(anchor, positive, negative, distance=distance, margin=margin)

    arrays = triplets(dtype)
    value, gradients = value_and_gradients(loss, *arrays, dtype=dtype)
    assert value.shape == (len(arrays[0]), 1)
    assert np.isfinite(value).all()
    assert (value >= 0).all()
    for gradient in gradients:
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", SCALES)
@pytest.mark.parametrize("function", [l2_norm, l2_normalize])
def test_norms_have_finite_gradients_everywhere(function, dtype):
    value, (gradient,) = value_and_gradients(function, rows(dtype), dtype=dtype)
    if function is l2_normalize:
        assert np.isfinite(value).all()
        assert (np.linalg.norm(value.astype("float64"), axis=-1) <= 1 + 1e-6).all()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("distance", ["euclidean", "squared_euclidean"])
def test_an_anchor_equal_to_its_positive_pulls_nothing(distance):
    anchor = np.array([[0.0, 0.0], [0.6, 0.8], [1e30, 1e-30]])
    negative = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])

    def loss(anchor, positive, negative):
        return triplet_loss(anchor, positive, negative, distance=distance, margin_size=2.0)

    value, (_, pull, _) = value_and_gradients(loss, anchor, anchor, negative)
    assert np.array_equal(pull, np.zeros_like(pull))
    assert value[0, 0] == 1.0


def test_two_rows_of_zeros_are_the_failing_step_of_a_square_root_and_not_of_this_loss():
    zeros, negative = np.zeros((2, 4)), np.ones((2, 4))

    def naive(anchor, positive, negative):
        near = ops.sqrt(ops.sum(ops.square(anchor - positive), axis=-1, keepdims=True))
        far = ops.sqrt(ops.sum(ops.square(anchor - negative), axis=-1, keepdims=True))
        return ops.maximum(near - far + 4.0, 0.0)

    def sound(anchor, positive, negative):
        return triplet_loss(anchor, positive, negative, margin_size=4.0)

    naive_value, naive_gradients = value_and_gradients(naive, zeros, zeros, negative)
    value, gradients = value_and_gradients(sound, zeros, zeros, negative)
    assert np.allclose(naive_value, value)
    assert np.isnan(naive_gradients[0]).any()
    assert np.allclose(gradients[0], 0.5)


def test_a_short_row_takes_no_more_than_its_share_of_the_gradient():
    rows = np.array([[0.0, 0.0, 0.0], [1e-9, 0.0, 0.0], [1e-3, 0.0, 0.0]])
    _, (gradient,) = value_and_gradients(lambda x: l2_normalize(x)[..., 1], rows)
    assert np.allclose(gradient[:, 1], [1.0, 1.0, 1e3])
