"""The embedding network: shapes, unit length, any backbone."""

import keras
import numpy as np
import pytest

from stayfinite.models import EmbeddingNetwork, preprocess_input
from tests.models.networks import SHAPE, embedding, images


def test_rows_have_length_1():
    vectors = keras.ops.convert_to_numpy(embedding()(images(5)))
    assert vectors.shape == (5, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1.0, rtol=1e-5)


def test_a_row_of_zeros_stays_one():
    network = embedding(activation="relu")
    dense = network.get_layer("model_out")
    dense.set_weights([np.zeros_like(dense.get_weights()[0]), dense.get_weights()[1]])
    assert not keras.ops.convert_to_numpy(network(images(2))).any()


def test_backbone_by_name_as_model_and_as_function():
    by_name = EmbeddingNetwork("MobileNetV2", input_shape=(32, 32, 3), weights=None)
    assert by_name.output_shape == (None, 128)
    flat = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()])
    assert EmbeddingNetwork(flat, embedding_dim=4).output_shape == (None, 4)


def test_unknown_backbone_names_a_near_one():
    with pytest.raises(ValueError, match="did you mean 'ResNet50'"):
        EmbeddingNetwork("Resnet50", weights=None)


def test_features_of_another_rank_are_refused():
    with pytest.raises(ValueError, match="must give features of shape"):
        EmbeddingNetwork(lambda image: keras.ops.reshape(image, (-1, 12, 36)), input_shape=SHAPE)


def test_preprocess_input_is_that_of_the_backbone():
    image = np.full((1, 4, 4, 3), 255.0, "float32")
    expected = keras.applications.resnet50.preprocess_input(image.copy())
    np.testing.assert_array_equal(preprocess_input("ResNet50")(image.copy()), expected)
    with pytest.raises(ValueError, match="no network of keras"):
        preprocess_input("resnet50")
