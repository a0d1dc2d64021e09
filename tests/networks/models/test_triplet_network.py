import keras
import numpy as np
import pytest

from stayfinite.networks.losses import triplet_loss
from stayfinite.networks.models import EmbeddingNetwork, TripletNetwork
from tests.networks.models.small import SHAPE, images, small_backbone


def small_embedding(**options):
    return EmbeddingNetwork(small_backbone, SHAPE, 6, weights=None, **options)


@pytest.mark.parametrize("margin", ["hinge", "softplus"])
@pytest.mark.parametrize("distance", ["euclidean", "squared_euclidean", "cosine"])
def test_the_output_is_the_loss_of_each_row(distance, margin):
    embedding = small_embedding()
    network = TripletNetwork(embedding, distance=distance, margin=margin, margin_size=0.7)
    batch = [images(5, seed) for seed in range(3)]
    vectors = [embedding.predict(part, verbose=0) for part in batch]
    expected = triplet_loss(*vectors, distance=distance, margin=margin, margin_size=0.7)
    rows = network.predict(batch, verbose=0)
    assert rows.shape == (5, 1)
    assert np.allclose(rows, keras.ops.convert_to_numpy(expected), atol=1e-5)


def test_inputs_are_named_and_the_embedding_is_a_layer():
    embedding = small_embedding()
    network = TripletNetwork(embedding)
    assert [tensor.name for tensor in network.inputs] == ["anchor", "positive", "negative"]
    assert network.get_layer("embedding") is embedding


def test_equal_images_have_distance_zero_also_in_training():
    # In one batch all three see the same statistics; in three calls they would not.
    network = TripletNetwork(small_embedding(), margin_size=0.0)
    same, other = images(4), images(4, seed=1)
    rows = keras.ops.convert_to_numpy(network([same, same, other], training=True))
    assert np.array_equal(rows, np.zeros((4, 1)))


def test_training_goes_on_where_a_square_root_would_end_it():
    embedding = small_embedding(activation="relu")
    network = TripletNetwork(embedding, margin_size=2.0)
    network.compile(keras.optimizers.Adam(0.01), loss="mean_absolute_error")
    same, other = images(8), images(8, seed=1)
    history = network.fit([same, same, other], np.zeros(8), batch_size=4, epochs=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert history.history["loss"][-1] < history.history["loss"][0]
    for variable in network.variables:
        assert np.isfinite(keras.ops.convert_to_numpy(variable)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": "manhattan"}, "`distance` must be one of"),
        ({"margin": "none"}, "`margin` must be one of"),
        ({"margin_size": -0.1}, "`margin_size` must be a finite number, 0 or more"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        TripletNetwork(small_embedding(), **options)


def test_an_embedding_must_be_a_model_with_one_vector_an_image():
    with pytest.raises(
        ValueError, match=r"`embedding` must be a keras\.Model\. Received: embedding"
    ):
        TripletNetwork("ResNet50")
    with pytest.raises(ValueError, match=r"of shape \(batch, dim\). Received: .*\(None, 7, 7, 4\)"):
        TripletNetwork(small_backbone())
