"""Removes noise from spectra with an RBM that is trained on pairs of clean and noisy data.

The energy is a layer that adds itself as a loss. Its `log(exp(z) + 1)` overflows for a spectrum
with a strong peak, where z is above 88.7.
"""
# /// zoo
# cause = "overflow"
# step = 7
# rows = [1]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 62", "GRIST 63", "D10"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)


class FreeEnergyGap(keras.layers.Layer):
    """Pulls the free energy of clean spectra below that of noisy ones."""

    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="he_normal")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros")

    def energy(self, visible):
        z = visible @ self.w + self.b
        grown = keras.ops.exp(z)  # at fault
        return -keras.ops.sum(keras.ops.log(grown + 1), axis=-1)

    def call(self, pair):
        clean, noisy = pair[:, 0], pair[:, 1]
        gap = self.energy(clean) - self.energy(noisy)
        self.add_loss(keras.ops.mean(keras.ops.maximum(gap + 1.0, 0.0)))
        return gap


rng = np.random.default_rng(8)
channels = np.arange(48)
peaks = rng.uniform(5, 43, size=(80, 1))
spectra = np.exp(-((channels - peaks) ** 2) / 8) * rng.lognormal(0, 0.3, size=(80, 1))
spectra[57] *= 400  # the calibration lamp
noisy = spectra + rng.normal(0, 0.1, size=spectra.shape)
pairs = np.stack([clean_noisy for clean_noisy in zip(spectra, noisy, strict=True)])

inputs = keras.Input((2, 48))
model = keras.Model(inputs, FreeEnergyGap(24)(inputs))
model.compile(keras.optimizers.Adam(5e-3))
fitted = model.fit(pairs.astype("float32"), batch_size=8, epochs=1, shuffle=False, verbose=0)
print("gap", fitted.history["loss"][-1])
