"""The distances and losses equal their formulas, computed in float64 by NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from stayfinite.networks.losses import (
    cosine_distance,
    euclidean_distance,
    l2_norm,
    squared_euclidean_distance,
    triplet_loss,
)
from tests.gradients import value_and_gradients


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


REFERENCE = {
    "euclidean": lambda a, b: np.linalg.norm(a - b, axis=-1, keepdims=True),
    "squared_euclidean": lambda a, b: np.square(a - b).sum(-1, keepdims=True),
    "cosine": lambda a, b: 1 - (unit(a) * unit(b)).sum(-1, keepdims=True),
}
DISTANCES = {
    "euclidean": euclidean_distance,
    "squared_euclidean": squared_euclidean_distance,
    "cosine": cosine_distance,
}


def value_of(function, *arrays, dtype="float32", **options):
    """`function` without a gradient, as training calls it for metrics and predictions."""
    tensors = [ops.convert_to_tensor(array, dtype=dtype) for array in arrays]
    return ops.convert_to_numpy(function(*tensors, **options))


def three_embeddings(seed=0, scale=1.0):
    generator = np.random.default_rng(seed)
    # Rounded to float32 first, so that only the computation is compared.
    draw = [scale * generator.normal(size=(16, 8)) for _ in range(3)]
    return [array.astype("float32").astype("float64") for array in draw]


def numerical_gradient(function, arrays, index):
    """Central differences in float64 of the sum of `function`."""
    step = 1e-6 * np.abs(arrays[index]).max()
    gradient = np.zeros_like(arrays[index])
    for place in np.ndindex(gradient.shape):
        sides = []
        for sign in (1, -1):
            moved = [array.copy() for array in arrays]
            moved[index][place] += sign * step
            sides.append(function(*moved).sum())
        gradient[place] = (sides[0] - sides[1]) / (2 * step)
    return gradient


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("distance", DISTANCES)
def test_distance_and_its_gradient(distance, scale):
    a, b, _ = three_embeddings(scale=scale)
    value, gradients = value_and_gradients(DISTANCES[distance], a, b)
    assert np.allclose(value, REFERENCE[distance](a, b), rtol=1e-5, atol=1e-6 * scale**2)
    for index, gradient in enumerate(gradients):
        expected = numerical_gradient(REFERENCE[distance], [a, b], index)
        assert np.allclose(gradient, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("distance", DISTANCES)
def test_triplet_loss_hinge(distance):
    a, p, n = three_embeddings()
    measure = REFERENCE[distance]
    expected = np.maximum(measure(a, p) - measure(a, n) + 0.3, 0)
    value = value_of(triplet_loss, a, p, n, distance=distance, margin_size=0.3)
    assert np.allclose(value, expected, rtol=1e-4, atol=1e-5)
    assert (value == 0).any() and (value > 0).any()


@pytest.mark.parametrize("distance", DISTANCES)
def test_triplet_loss_softplus(distance):
    a, p, n = three_embeddings()
    measure = REFERENCE[distance]
    expected = np.log1p(np.exp(measure(a, p) - measure(a, n)))
    value = value_of(triplet_loss, a, p, n, distance=distance, margin="softplus")
    assert np.allclose(value, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-37, 1e-30, 1e-20, 1e20, 1e30, 1e37])
def test_lengths_whose_squares_leave_the_range_of_float32(scale):
    row = np.array([[3.0, 0.0, 4.0], [0.0, -5.0, 0.0]]) * scale
    value, (gradient,) = value_and_gradients(l2_norm, row)
    assert np.allclose(value / scale, 5.0, rtol=1e-5)
    assert np.allclose(gradient, [[0.6, 0.0, 0.8], [0.0, -1.0, 0.0]], rtol=1e-5)
    assert np.allclose(value_of(euclidean_distance, row, 0 * row) / scale, 5.0, rtol=1e-5)


def test_a_difference_beyond_float32_is_the_largest_number():
    a = np.full((1, 4), 3e38)
    assert value_of(euclidean_distance, a, -a).item() == np.finfo("float32").max
    assert value_of(squared_euclidean_distance, a, -a).item() > 3.4e38


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_gives_a_float32_distance(dtype):
    a = ops.convert_to_tensor(np.full((1, 4), 300.0), dtype=dtype)
    distance = ops.convert_to_numpy(squared_euclidean_distance(a, 0 * a))
    assert distance.dtype == "float32"
    assert distance.item() == pytest.approx(360_000, rel=1e-5)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="float64 is off in JAX by default")
@pytest.mark.parametrize("distance", DISTANCES)
def test_double_precision_stays_double(distance):
    a, b, _ = three_embeddings(scale=1e3)
    value = value_of(DISTANCES[distance], a, b, dtype="float64")
    assert np.allclose(value, REFERENCE[distance](a, b), rtol=1e-12)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has no float64 by default")
def test_float64_at_equal_rows():
    x = np.full((2, 3), 1e-200)
    for distance in (euclidean_distance, squared_euclidean_distance):
        rows = ops.convert_to_numpy(distance(ops.convert_to_tensor(x), ops.convert_to_tensor(x)))
        assert rows.dtype == "float64" and (rows == 0).all()
