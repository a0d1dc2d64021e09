"""Interatomic energies with a smooth cutoff, exp(-beta / (1 - (r/rc)^2)) inside and 0 outside. A
neighbour just outside of the cutoff makes the exponential infinite on the side that is not taken.
"""

# /// zoo
# cause = "masked-branch"
# step = 8
# rows = [7]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(1)
rng = np.random.default_rng(1)
CUTOFF = 5.0
FRAMES, NEIGHBOURS, BATCH = 200, 6, 10

r = rng.uniform(1.0, 4.5, (FRAMES, NEIGHBOURS))
r[:, -1] = rng.uniform(6.5, 9.0, FRAMES)  # every atom has one neighbour out of reach
r[87, 5] = 5.002
r = r.astype("float32")
energy = np.where(r < 5, np.exp(-0.8 / (1 - np.minimum(r / 5, 0.999) ** 2)) / r, 0).sum(1)
energy = energy.astype("float32")


class PairPotential(keras.layers.Layer):
    def build(self, _):
        self.log_beta = self.add_weight(shape=(), initializer="zeros", name="log_beta")
        self.charge = self.add_weight(shape=(), initializer="ones", name="charge")

    def envelope(self, r):
        u = ops.square(r / CUTOFF)
        bump = ops.exp(-ops.exp(self.log_beta) / (1.0 - u))  # at fault
        return ops.where(u < 1.0, bump, ops.zeros_like(bump))

    def call(self, r):
        return ops.sum(self.charge * self.envelope(r) / r, axis=-1)


inputs = keras.Input((NEIGHBOURS,))
model = keras.Model(inputs, PairPotential()(inputs))
model.compile(keras.optimizers.Adam(0.02), loss="mean_squared_error")
model.fit(r, energy, batch_size=BATCH, epochs=2, verbose=2, shuffle=False)
