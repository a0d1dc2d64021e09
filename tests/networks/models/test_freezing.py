import keras
import pytest

from stayfinite.networks.models import EmbeddingNetwork, TripletNetwork, freeze
from tests.networks.models.small import SHAPE, small_backbone

BatchNormalization = keras.layers.BatchNormalization


class Block(keras.layers.Layer):
    """A layer of a user's own, with a weight of its own and two layers inside."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = keras.layers.Dense(4, name="inner_dense")
        self.norm = BatchNormalization(name="inner_norm")

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(), name="scale")
        self.dense.build(input_shape)
        self.norm.build((*input_shape[:-1], 4))

    def call(self, inputs, training=None):
        return self.scale * self.norm(self.dense(inputs), training=training)


def trainable(model):
    return sorted(variable.path.split("/", 1)[-1] for variable in model.trainable_variables)


def test_all_but_batch_normalization_by_default():
    model = EmbeddingNetwork(small_backbone, SHAPE, 6, weights=None)
    assert freeze(model) == ["norm"]
    assert trainable(model) == ["beta", "gamma"]
    assert not model.get_layer("conv").trainable
    assert not model.get_layer("embedding_dense").trainable


def test_nested_models_and_their_order():
    embedding = EmbeddingNetwork(small_backbone, SHAPE, 6, weights=None)
    network = TripletNetwork(embedding)
    assert freeze(network, keep=(BatchNormalization, keras.layers.Dense)) == [
        "norm",
        "embedding_dense",
    ]
    assert trainable(network) == ["beta", "bias", "gamma", "kernel"]


def test_a_model_within_a_sequential_within_a_model():
    inner = keras.Sequential([small_backbone(), keras.layers.Flatten()], name="inner")
    outer = keras.Sequential([keras.Input(SHAPE), inner, keras.layers.Dense(2)])
    assert freeze(outer) == ["norm"]
    assert trainable(outer) == ["beta", "gamma"]


def test_a_layer_of_the_users_own_keeps_what_is_kept_inside_it():
    model = keras.Sequential([keras.Input((3,)), Block(), keras.layers.Dense(2)])
    assert freeze(model) == ["inner_norm"]
    assert [variable.name for variable in model.trainable_variables] == ["gamma", "beta"]


def test_a_predicate():
    model = EmbeddingNetwork(small_backbone, SHAPE, 6, weights=None)
    assert freeze(model, keep=lambda layer: layer.name.endswith("dense")) == ["embedding_dense"]
    assert trainable(model) == ["bias", "kernel"]


def test_what_is_kept_is_trainable_even_if_it_was_not():
    model = EmbeddingNetwork(small_backbone, SHAPE, 6, weights=None)
    model.trainable = False
    freeze(model)
    assert trainable(model) == ["beta", "gamma"]


def test_twice_is_as_once():
    model = EmbeddingNetwork(small_backbone, SHAPE, 6, weights=None)
    assert freeze(model) == freeze(model)
    assert trainable(model) == ["beta", "gamma"]


def test_keeping_none_freezes_all():
    model = EmbeddingNetwork(small_backbone, SHAPE, 6, weights=None)
    assert freeze(model, keep=()) == []
    assert trainable(model) == []


def test_resnet50_keeps_its_53_normalizations():
    model = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(32, 32, 3))
    kept = freeze(model)
    assert len(kept) == 53
    assert kept[:2] == ["conv1_bn", "conv2_block1_1_bn"]
    assert len(model.trainable_variables) == 106


@pytest.mark.parametrize(
    ("model", "keep", "message"),
    [
        (3, BatchNormalization, "`model` must be a Keras model or layer. Received: model=3"),
        (None, "norm", "`model` must be a Keras model"),
        ("small", "norm", "`keep` must be a layer class.* Received: keep='norm'"),
        ("small", (BatchNormalization, "norm"), "`keep` must be a layer class"),
        ("small", keras.layers.LSTM, ".keep. must match a layer of 'small_backbone'.*LSTM"),
    ],
)
def test_a_wrong_argument_is_named(model, keep, message):
    model = small_backbone() if model == "small" else model
    with pytest.raises(ValueError, match=message):
        freeze(model, keep)
