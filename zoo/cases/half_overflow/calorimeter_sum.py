"""Total energy of a particle shower, summed in float16 to save memory. A shower of 70 TeV (in GeV)
is out of its range, and its log is infinite.
"""

# /// zoo
# cause = "half-overflow"
# step = 7
# rows = [12]
# fix = "source"
# value = "exact"
# backends = ["torch"]
# ///
import keras
import numpy as np
import torch
from keras import layers

keras.utils.set_random_seed(72)
rng = np.random.default_rng(72)
SHOWERS, CELLS, BATCH = 256, 40, 16

cells = rng.gamma(1.5, 3.0, (SHOWERS, CELLS)).astype("float32")
is_photon = rng.integers(0, 2, SHOWERS)
cells[is_photon == 1, :10] *= 2.0
cells[7 * BATCH + 12] = rng.uniform(1500, 2000, CELLS)


class ShowerFeatures(keras.layers.Layer):
    """Log energy of the shower and the share of its core."""

    def build(self, shape):
        self.calibration = self.add_weight(shape=(CELLS,), initializer="ones")

    def call(self, cells):
        calibrated = (cells * self.calibration).to(torch.float16)
        total = calibrated.sum(dim=-1)  # at fault
        core = calibrated[:, :10].sum(dim=-1)
        share = core / (total + 1e-3)
        return torch.stack([total.log(), share], dim=-1).float()


model = keras.Sequential(
    [
        keras.Input((CELLS,)),
        ShowerFeatures(),
        layers.Dense(8, activation="tanh"),
        layers.Dense(2, activation="softmax"),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(),
)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(torch.from_numpy(cells), torch.from_numpy(is_photon)),
    batch_size=BATCH,
)
model.fit(loader, epochs=2, verbose=2)
