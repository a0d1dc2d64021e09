"""EfficientNet-Lite0 has the outputs of an implementation in plain PyTorch, on each backend."""

import keras
import numpy as np
import pytest

from stayfinite.networks.models import EfficientNetLite0, EmbeddingNetwork, freeze
from stayfinite.networks.models import preprocess_input as preprocessing_of
from stayfinite.networks.models.efficientnet_lite import STAGES

# The first logits of `two_images` with the weights of `generated`, from the PyTorch implementation.
OF_GENERATED_WEIGHTS = [[2.77663, 2.04082, 2.40257], [2.74920, 1.86267, 1.92257]]


def generated(network):
    """Set weights from a NumPy generator that keep the size of the activations."""
    random = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            bounds = [(1, 2), (-1, 1), (-1, 1), (0.5, 1.5)]  # gamma, beta, mean, variance
            shape = layer.weights[0].shape
            layer.set_weights([random.uniform(*bound, shape) for bound in bounds])
        elif layer.weights:
            layer.set_weights([random.normal(0, scale(w.shape), w.shape) for w in layer.weights])
    return network


def scale(shape):
    """One over the root of the number of inputs; a depthwise kernel has one channel for each."""
    inputs = shape[:2] if shape[-1] == 1 else shape[:-1]
    return float(np.prod(inputs)) ** -0.5


def two_images(height=64, width=48):
    """Gradients of colour with values from 0 to 255."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    first = np.stack([x, y, x * y], axis=-1)
    return (255 * np.stack([first, 1 - first[::-1]])).astype("float32")


def test_outputs_are_the_same_on_each_backend():
    network = EfficientNetLite0(
        weights=None, input_shape=(64, 48, 3), classes=3, classifier_activation=None
    )
    logits = generated(network).predict_on_batch(
        preprocessing_of("EfficientNetLite0")(two_images())
    )
    np.testing.assert_allclose(logits, OF_GENERATED_WEIGHTS, rtol=1e-3)


def test_it_has_the_layers_of_the_paper():
    network = EfficientNetLite0(weights=None, input_shape=(None, None, 3))
    assert network.count_params() == 4_694_024
    assert network.output_shape == (None, 1000)
    depthwise = [n for n in network.layers if isinstance(n, keras.layers.DepthwiseConv2D)]
    assert len(depthwise) == sum(stage.repeats for stage in STAGES) == 16
    normalizations = [n for n in network.layers if isinstance(n, keras.layers.BatchNormalization)]
    assert {(n.epsilon, n.momentum) for n in normalizations} == {(1e-3, 0.99)}


def test_it_is_a_backbone_of_an_embedding():
    embedding = generated(EmbeddingNetwork("EfficientNetLite0", (32, 32, 3), 8, weights=None))
    kept = freeze(embedding)
    assert len(kept) == 49
    images = preprocessing_of("EfficientNetLite0")(two_images(32, 32))
    np.testing.assert_allclose(
        np.linalg.norm(embedding.predict_on_batch(images), axis=1), 1, rtol=1e-5
    )


def test_preprocessing():
    images = np.array([0, 127, 255], "uint8")
    prepared = preprocessing_of(EfficientNetLite0)(images)
    assert prepared.tolist() == [-127 / 128, 0, 1]
    assert prepared.dtype == "float32"
    assert images.tolist() == [0, 127, 255]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": (224, 224)}, "`input_shape` must be (height, width, 3)"),
        ({"pooling": "mean"}, "`pooling` must be one of"),
        ({"classes": 10}, "`classes` must be 1000 for weights='imagenet' with the top"),
        ({"weights": "none.weights.h5"}, "`weights` must be 'imagenet', None or the path"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError) as error:
        EfficientNetLite0(**options)
    assert message in str(error.value)
