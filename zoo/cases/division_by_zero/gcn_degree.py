"""Graph convolution on small molecules with symmetric normalisation."""

# /// zoo
# cause = "division-by-zero"
# step = 6
# rows = [3]
# fix = "source"
# value = "undefined"
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(9)
rng = np.random.default_rng(9)
GRAPHS, NODES, BATCH = 300, 7, 20

ring = np.roll(np.eye(NODES), 1, axis=1)
adj = np.tile(ring + ring.T, (GRAPHS, 1, 1))
extra = np.triu(rng.random((GRAPHS, NODES, NODES)) < 0.2, 2)
adj = np.clip(adj + extra + extra.transpose(0, 2, 1), 0, 1).astype("float32")
lone = 6 * BATCH + 3
adj[lone, 4, :] = adj[lone, :, 4] = 0.0  # a counter-ion without bonds
atoms = rng.normal(size=(GRAPHS, NODES, 5)).astype("float32")
label = (np.einsum("gij,gj->g", adj, atoms[..., 0]) > 0).astype("float32")


class GraphConv(layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.dense = layers.Dense(units)

    def call(self, nodes, adj):
        root = ops.sqrt(ops.sum(adj, axis=-1))
        scale = 1.0 / root  # at fault
        left = ops.expand_dims(scale, 2)
        right = ops.expand_dims(scale, 1)
        return ops.relu(self.dense(ops.matmul(left * adj * right, nodes)))


a = keras.Input((NODES, NODES))
x = keras.Input((NODES, 5))
h = GraphConv(16)(x, a)
h = GraphConv(16)(h, a)
h = layers.GlobalAveragePooling1D()(h)
model = keras.Model([x, a], layers.Dense(1)(h))
model.compile("adam", loss=keras.losses.BinaryCrossentropy(from_logits=True))
model.fit([atoms, adj], label, batch_size=BATCH, epochs=2, shuffle=False, verbose=0)
