import keras
import numpy as np
import pytest

from stayfinite.errors import UsageError
from stayfinite.networks.training.saving import check_saved, save


def build(units=3):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(units)(inputs))


BATCH = np.ones((2, 4), "float32")


def test_saved_and_loaded_it_is_the_same(tmp_path):
    model = build()
    model.compile("adam", "mse")
    assert check_saved(model, save(model, tmp_path), BATCH) == 0


def test_a_file_with_other_weights_is_found(tmp_path):
    model = build()
    paths = save(model, tmp_path)
    other = build()
    other.set_weights([2 * weight for weight in model.get_weights()])
    other.save_weights(paths["weights"])
    with pytest.raises(
        UsageError, match=r"the predictions of the network loaded from .*model.weights.h5 differ"
    ):
        check_saved(model, paths, BATCH)


def test_weights_that_are_not_finite_are_found(tmp_path):
    model = build()
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    with pytest.raises(UsageError, match="are not finite"):
        check_saved(model, save(model, tmp_path), BATCH)
