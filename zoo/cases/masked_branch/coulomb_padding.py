"""Energy of padded molecules from inverse distances. Two padding atoms lie on one point; the pair
mask is to remove them, but 0 times 1 / 0 is NaN."""

# /// zoo
# cause = "masked-branch"
# step = 12
# rows = [0]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(4)
rng = np.random.default_rng(4)
ATOMS = 5

coords = rng.normal(scale=1.5, size=(160, ATOMS, 3)).astype("float32")
present = np.ones((160, ATOMS), "float32")
present[np.arange(0, 160, 3), -1] = 0  # methane-like: one place is empty
present[96, -2:] = 0
coords *= present[:, :, None]
energy = rng.normal(size=(160, 1)).astype("float32")


class PairEnergy(layers.Layer):
    def build(self, input_shape):
        self.charge = self.add_weight(shape=(ATOMS,), initializer="ones", name="charge")

    def call(self, pos, present):
        diag = ops.eye(ATOMS)
        pairs = present[:, :, None] * present[:, None, :] * (1.0 - diag)
        delta = pos[:, :, None, :] - pos[:, None, :, :]
        dist = ops.sqrt(ops.sum(ops.square(delta), axis=-1) + diag)
        q = self.charge[:, None] * self.charge[None, :]
        return ops.sum(pairs * q * (1.0 / dist), axis=(1, 2))[:, None]  # at fault


xyz = keras.Input((ATOMS, 3))
here = keras.Input((ATOMS,))
out = layers.Dense(1)(PairEnergy()(xyz, here))
model = keras.Model([xyz, here], out)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mae")
model.fit([coords, present], energy, batch_size=8, epochs=1, shuffle=False, verbose=0)
