import keras
import numpy as np
import pytest

from stayfinite.networks.models import EmbeddingNetwork, preprocess_input
from tests.gradients import value_and_gradients
from tests.networks.models.small import SHAPE, images, small_backbone


def test_vectors_have_length_one():
    embedding = EmbeddingNetwork(small_backbone, SHAPE, 6, weights=None)
    assert embedding.output_shape == (None, 6)
    assert embedding.name == "embedding"
    vectors = embedding.predict(images(5), verbose=0)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_without_normalization_it_ends_in_the_dense_layer():
    embedding = EmbeddingNetwork(small_backbone, SHAPE, 6, weights=None, normalize=False)
    assert embedding.layers[-1].name == "embedding_dense"


def test_a_model_with_a_feature_map_is_pooled_and_its_layers_are_shared():
    backbone = small_backbone()
    embedding = EmbeddingNetwork(backbone, embedding_dim=6)
    assert embedding.get_layer("norm") is backbone.get_layer("norm")
    assert embedding.predict(images(2), verbose=0).shape == (2, 6)


@pytest.mark.parametrize("declared", [True, False])
def test_a_built_sequential_model_is_a_backbone(declared):
    conv = keras.layers.Conv2D(4, 3)
    backbone = keras.Sequential([keras.Input(SHAPE), conv] if declared else [conv])
    backbone.build((None, *SHAPE))
    embedding = EmbeddingNetwork(backbone, embedding_dim=6)
    assert conv in embedding.layers
    assert embedding.predict(images(2), verbose=0).shape == (2, 6)


def test_a_dead_relu_gives_a_row_of_zeros_with_a_finite_gradient():
    embedding = EmbeddingNetwork(small_backbone, SHAPE, 6, weights=None, activation="relu")
    dense = embedding.get_layer("embedding_dense")
    dense.set_weights([0 * dense.get_weights()[0], dense.get_weights()[1] - 1.0])
    value, (gradient,) = value_and_gradients(lambda x: embedding(x, training=True), images(3))
    assert np.array_equal(value, np.zeros((3, 6)))
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_ends_in_float32(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        embedding = EmbeddingNetwork(small_backbone, SHAPE, 6, weights=None)
    finally:
        keras.config.set_dtype_policy(before)
    vectors = embedding.predict(images(4), verbose=0)
    assert vectors.dtype == "float32"
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("name", ["ResNet50", "MobileNetV3Small"])
def test_any_network_of_keras_applications(name):
    embedding = EmbeddingNetwork(name, (32, 32, 3), weights=None, name="mine")
    assert embedding.name == "mine"
    assert embedding.output_shape == (None, 128)
    assert any(isinstance(layer, keras.layers.BatchNormalization) for layer in embedding.layers)


def test_the_preprocessing_of_a_backbone():
    expected = keras.applications.resnet50.preprocess_input
    batch = np.full((1, 2, 2, 3), 100.0, "float32")
    for backbone in ("ResNet50", keras.applications.ResNet50):
        assert np.array_equal(preprocess_input(backbone)(batch.copy()), expected(batch.copy()))
    other = preprocess_input("MobileNetV2")(batch.copy())
    assert np.allclose(other, 100 / 127.5 - 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone": "ResNet51"}, "must name a network, one of .*'ResNet50'"),
        ({"backbone": "resnet50"}, "must name a network.* backbone='resnet50'"),
        ({"backbone": 3}, "the name of a network, a keras.Model, or a function"),
        ({"backbone": lambda **options: None}, "must build a keras.Model. Received: NoneType"),
        ({"backbone": keras.Sequential()}, "a functional or a built sequential model"),
        ({"embedding_dim": 0}, "`embedding_dim` must be at least 1. Received: embedding_dim=0"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingNetwork(**{"weights": None, **arguments})


def test_a_model_as_backbone_has_its_own_shape():
    with pytest.raises(ValueError, match="`input_shape` must be None if `backbone` is a model"):
        EmbeddingNetwork(small_backbone(), SHAPE)


def test_a_backbone_with_two_inputs_is_refused():
    inputs = [keras.Input((4,)), keras.Input((4,))]
    backbone = keras.Model(inputs, keras.layers.Add()(inputs))
    with pytest.raises(ValueError, match=r"one input and one output\. Received: 2 inputs"):
        EmbeddingNetwork(backbone)


def test_preprocessing_of_what_has_none_is_refused():
    with pytest.raises(ValueError, match=r"or a network of keras\.applications, by name"):
        preprocess_input(small_backbone)
