"""Saved networks come back to equal bits in a fresh process that has only Keras."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.models.networks import siamese, triplets

LOAD = """
import sys
import keras, numpy as np

kind, folder = sys.argv[1:]
if kind == "keras":
    network = keras.saving.load_model(folder + "/network.keras", compile=False)
else:
    with open(folder + "/architecture.json") as file:
        network = keras.models.model_from_json(file.read())
    network.load_weights(folder + "/network.weights.h5")
inputs = np.load(folder + "/inputs.npy")
np.save(folder + "/again.npy", network.predict(list(inputs), verbose=0))
assert not any(name.split(".")[0] == "stayfinite" for name in sys.modules)
"""


@pytest.mark.parametrize("kind", ["keras", "json and hdf5"])
@pytest.mark.parametrize("distance", ["euclidean", "squared_euclidean", "cosine"])
def test_equal_predictions_in_a_process_without_stayfinite(kind, distance, tmp_path):
    network = siamese(distance=distance)
    inputs = np.stack(triplets(3))
    np.save(tmp_path / "inputs.npy", inputs)
    before = network.predict(list(inputs), verbose=0)
    network.save(tmp_path / "network.keras")
    (tmp_path / "architecture.json").write_text(network.to_json(), encoding="utf-8")
    network.save_weights(tmp_path / "network.weights.h5")
    arguments = [sys.executable, "-c", LOAD, kind, str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "again.npy"), before)


def test_the_embedding_alone_is_a_file_of_its_own(tmp_path):
    encoder = siamese().get_layer("embedding")
    encoder.save(tmp_path / "encoder.keras")
    again = keras.saving.load_model(tmp_path / "encoder.keras")
    inputs = triplets(2)[0]
    np.testing.assert_array_equal(
        again.predict(inputs, verbose=0), encoder.predict(inputs, verbose=0)
    )
