"""The three-input network: its output is the loss, its training learns, its gradient is finite."""

import keras
import numpy as np
import pytest

from stayfinite.losses import triplet_loss
from stayfinite.models import TripletNetwork
from tests.models.networks import embedding, images, siamese, triplets


def output_is_loss(y_true, y_pred):
    return y_pred


@pytest.mark.parametrize("margin", ["hinge", "softplus"])
@pytest.mark.parametrize("distance", ["euclidean", "squared_euclidean", "cosine"])
def test_output_is_the_loss_of_each_row(distance, margin):
    network = siamese(distance=distance, margin=margin)
    inputs = triplets(4)
    vectors = [network.get_layer("embedding")(image) for image in inputs]
    expected = triplet_loss(*vectors, distance=distance, margin=margin)
    found = keras.ops.convert_to_numpy(network(inputs))
    assert found.shape == (4, 1)
    np.testing.assert_allclose(found, keras.ops.convert_to_numpy(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("distance", ["euclidean", "squared_euclidean", "cosine"])
def test_training_on_equal_images_stays_finite(distance):
    network = siamese(distance=distance, margin_size=2.0)
    network.compile(keras.optimizers.Adam(1e-2), loss=output_is_loss)
    same = images(4)
    network.fit([same, same, same], np.zeros((4, 1)), epochs=5, batch_size=2, verbose=0)
    assert all(np.isfinite(weights).all() for weights in network.get_weights())


def test_training_brings_the_loss_down():
    network = siamese(margin="softplus")
    network.compile(keras.optimizers.Adam(1e-2), loss=output_is_loss)
    anchor = images(16)
    data = [anchor, 1.1 * anchor, images(16, seed=1)]
    history = network.fit(data, np.zeros((16, 1)), epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]


def test_an_embedding_with_two_inputs_is_refused():
    a, b = keras.Input((2,)), keras.Input((2,))
    with pytest.raises(ValueError, match="must have one input"):
        TripletNetwork(keras.Model([a, b], keras.layers.add([a, b])))


def test_unknown_distance_is_refused():
    with pytest.raises(ValueError, match="`distance` must be one of"):
        TripletNetwork(embedding(), distance="manhattan")
