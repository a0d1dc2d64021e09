"""`freeze`: everything stops training but the layers to keep, in nested models too."""

import keras
import pytest

from stayfinite import freeze
from tests.models.networks import embedding, siamese

BatchNormalization = keras.layers.BatchNormalization


def test_only_batch_normalization_stays_trainable():
    network = siamese()
    kept = freeze(network)
    assert kept and all("batch_normalization" in name for name in kept)
    trainable = {variable.path.split("/")[-1] for variable in network.trainable_variables}
    assert trainable == {"gamma", "beta"}


def test_several_classes_and_a_predicate():
    network = embedding()
    freeze(network, keep=(BatchNormalization, keras.layers.Dense))
    assert len(network.trainable_variables) == 4
    assert freeze(network, keep=lambda layer: layer.name == "model_out") == ["model_out"]
    assert len(network.trainable_variables) == 2


def test_resnet50_keeps_its_53_batch_normalizations():
    network = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), include_top=False)
    assert len(freeze(network)) == 53
    assert len(network.trainable_variables) == 106


def test_nothing_to_keep_is_an_error_unless_asked_for():
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="nothing would be left to train"):
        freeze(network)
    assert freeze(network, keep=()) == []
    assert network.trainable_variables == []


@pytest.mark.parametrize(("model", "keep"), [("ResNet50", BatchNormalization), (None, 3)])
def test_what_is_no_model_or_no_choice_is_refused(model, keep):
    with pytest.raises(ValueError, match="Received"):
        freeze(embedding() if model is None else model, keep=keep)
