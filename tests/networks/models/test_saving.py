"""A saved network comes back bit for bit in a fresh process that has only Keras."""

import numpy as np
import pytest

from stayfinite.networks.models import EmbeddingNetwork, TripletNetwork
from tests import warm
from tests.networks.models.small import SHAPE, images, small_backbone

# Also loads the compiled file: nothing in it may need stayfinite.
RELOAD = """
import sys
from pathlib import Path
import keras
import numpy as np

batch = [np.load(f"batch_{i}.npy") for i in range(3)]
for name, inputs in (("embedding", batch[0]), ("network", batch)):
    rebuilt = keras.models.model_from_json(Path(f"{name}.json").read_text())
    rebuilt.load_weights(f"{name}.weights.h5")
    whole = keras.models.load_model(f"{name}.keras")
    expected = np.load(f"{name}.npy")
    for model in (rebuilt, whole):
        assert np.array_equal(model.predict(inputs, verbose=0), expected), name
print(whole.evaluate(batch, np.zeros(len(batch[0])), verbose=0))
assert not [module for module in sys.modules if module.startswith("stayfinite")]
"""


@pytest.mark.parametrize("distance", ["euclidean", "squared_euclidean", "cosine"])
def test_json_hdf5_and_keras_files(distance, tmp_path):
    embedding = EmbeddingNetwork(small_backbone, SHAPE, 6, weights=None, activation="relu")
    network = TripletNetwork(embedding, distance=distance, margin="softplus")
    network.compile("adam", loss="mean_absolute_error")
    batch = [images(6, seed) for seed in range(3)]
    network.fit(batch, np.zeros(6), verbose=0)  # so that no weight is as it was initialised

    for part, array in enumerate(batch):
        np.save(tmp_path / f"batch_{part}.npy", array)
    for model, inputs in ((embedding, batch[0]), (network, batch)):
        name = "embedding" if model is embedding else "network"
        np.save(tmp_path / f"{name}.npy", model.predict(inputs, verbose=0))
        (tmp_path / f"{name}.json").write_text(model.to_json())
        model.save_weights(tmp_path / f"{name}.weights.h5")
        model.save(tmp_path / f"{name}.keras")

    result = warm.python(tmp_path, RELOAD)
    assert result.returncode == 0, result.stderr
    loss = network.evaluate(batch, np.zeros(6), verbose=0)
    assert float(result.stderr.splitlines()[-1]) == pytest.approx(loss, rel=1e-6)
