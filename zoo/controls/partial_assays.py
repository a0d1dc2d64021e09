"""Several assays per molecule, NaN where one was not made; unknown targets are replaced before
use.
"""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(206)
rng = np.random.default_rng(206)
fingerprint = rng.integers(0, 2, (180, 16)).astype("float32")
assays = (fingerprint[:, :3] @ rng.normal(size=(3, 4))).astype("float32")
assays[rng.uniform(size=assays.shape) < 0.5] = np.nan
assays[36:48] = np.nan  # a plate that was lost


class KnownOnly(keras.losses.Loss):
    def call(self, y_true, y_pred):
        unknown = ops.isnan(y_true)
        y_true = ops.where(unknown, ops.zeros_like(y_true), y_true)
        known = 1.0 - ops.cast(unknown, "float32")
        squared = ops.square(y_true - y_pred) * known
        return ops.sum(squared, axis=-1) / ops.maximum(ops.sum(known, axis=-1), 1.0)


model = keras.Sequential([keras.Input((16,)), layers.Dense(24, "gelu"), layers.Dense(4)])
model.compile(optimizer=keras.optimizers.Adam(3e-3), loss=KnownOnly())
model.fit(fingerprint, assays, batch_size=12, epochs=3, shuffle=False, verbose=2)
