"""`TripletLoss` as Keras uses it: reduction, configuration, errors, training."""

import json

import keras
import numpy as np
import pytest

from stayfinite.networks.losses import TripletLoss, triplet_loss
from tests.gradients import value_and_gradients


def stacked(seed=0, batch=5):
    return np.random.default_rng(seed).normal(size=(batch, 3, 4)).astype("float32")


def number(tensor):
    return float(keras.ops.convert_to_numpy(tensor))


def test_it_is_the_mean_of_the_rows():
    y_pred = stacked()
    rows = triplet_loss(y_pred[:, 0], y_pred[:, 1], y_pred[:, 2], margin_size=0.4)
    mean = float(keras.ops.convert_to_numpy(rows).mean())
    assert number(TripletLoss(margin_size=0.4)(np.zeros(5), y_pred)) == pytest.approx(mean)


def test_sample_weights_and_no_reduction():
    y_pred = stacked()
    weights = np.array([0.0, 1.0, 0.0, 2.0, 0.0])
    rows = keras.ops.convert_to_numpy(TripletLoss(reduction="none")(np.zeros(5), y_pred))
    assert rows.shape == (5,)
    weighted = TripletLoss()(np.zeros(5), y_pred, sample_weight=weights)
    assert number(weighted) == pytest.approx(float((rows * weights).mean()), rel=1e-5)


@pytest.mark.parametrize("distance", ["euclidean", "squared_euclidean", "cosine"])
def test_a_batch_of_absurd_rows_has_a_finite_mean(distance):
    y_pred = np.zeros((64, 3, 4))
    y_pred[:, 1] = 3e38
    y_pred[::2, 2] = -3e38

    def loss(y_pred):
        return TripletLoss(distance=distance)(np.zeros(64), y_pred)

    value, (gradient,) = value_and_gradients(loss, y_pred)
    assert np.isfinite(value) and np.isfinite(gradient).all()


def test_configuration_round_trip_through_json():
    loss = TripletLoss("cosine", margin="softplus", margin_size=0.3, reduction="sum", name="mine")
    serialized = keras.saving.serialize_keras_object(loss)
    restored = keras.saving.deserialize_keras_object(json.loads(json.dumps(serialized)))
    assert isinstance(restored, TripletLoss)
    assert restored.get_config() == loss.get_config()
    assert restored.get_config()["dtype"] == "float32"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": "manhattan"}, "`distance` must be one of .* distance='manhattan'"),
        ({"margin": "maxplus"}, "`margin` must be one of .* margin='maxplus'"),
        ({"margin_size": -1.0}, "`margin_size` must be a finite number.* margin_size=-1.0"),
        ({"margin_size": float("nan")}, "`margin_size` must be a finite number"),
        ({"dtype": "float16"}, "`dtype` must be float32 or float64.* dtype='float16'"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        TripletLoss(**options)


@pytest.mark.parametrize("shape", [(5, 4), (5, 2, 4)])
def test_a_wrong_shape_is_named(shape):
    with pytest.raises(ValueError, match=r"shape \(batch, 3, dim\)\. Received"):
        TripletLoss()(np.zeros(5), np.zeros(shape))


def test_it_trains_a_model_that_starts_with_all_rows_at_zero():
    inputs = keras.Input((3, 6))
    outputs = keras.layers.Dense(4, activation="relu", bias_initializer="zeros")(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=TripletLoss("cosine"))
    x = np.random.default_rng(0).normal(size=(32, 3, 6)).astype("float32")
    x[::4] = 0.0
    history = model.fit(x, np.zeros(32), batch_size=8, epochs=5, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert history.history["loss"][-1] < history.history["loss"][0]
