"""Message passing where a node takes the mean over its neighbours. In one molecule an atom is
bonded to nothing: a mean over zero neighbours.
"""

# /// zoo
# cause = "empty-reduction"
# step = 7
# rows = [4]
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(14)
rng = np.random.default_rng(14)
GRAPHS, NODES, FEATURES, BATCH = 96, 7, 4, 8

ring = np.roll(np.eye(NODES), 1, axis=1)
bonds = np.repeat((ring + ring.T)[None], GRAPHS, axis=0)
extra = np.triu(rng.uniform(size=(GRAPHS, NODES, NODES)) < 0.2, 1)
bonds = np.maximum(bonds, extra + extra.transpose(0, 2, 1)) * (1 - np.eye(NODES))
bonds[60, 3, :] = 0
bonds[60, :, 3] = 0
atoms = rng.normal(size=(GRAPHS, NODES, FEATURES)).astype("float32")
solubility = (bonds.sum((1, 2)) / 20 + atoms[..., 0].mean(1)).astype("float32")
bonds = bonds.astype("float32")


class MeanNeighbours(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.project = layers.Dense(units)

    def build(self, atoms_shape, bonds_shape):
        self.project.build(atoms_shape)

    def call(self, atoms, bonds):
        messages = ops.matmul(bonds, self.project(atoms))
        degree = ops.sum(bonds, axis=-1, keepdims=True)
        return ops.tanh(messages / degree)  # at fault


nodes, edges = keras.Input((NODES, FEATURES)), keras.Input((NODES, NODES))
h = MeanNeighbours(12)(nodes, edges)
h = MeanNeighbours(12)(h, edges)
readout = layers.Dense(1)(layers.GlobalAveragePooling1D()(h))
model = keras.Model([nodes, edges], readout)
model.compile(optimizer="adam", loss="mse")
model.fit([atoms, bonds], solubility, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
