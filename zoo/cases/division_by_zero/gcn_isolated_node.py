"""Graph convolution with the symmetric normalisation by degrees. One graph has an isolated node."""

# /// zoo
# cause = "division-by-zero"
# step = 11
# rows = [2]
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(29)
rng = np.random.default_rng(29)
NODES, FEATURES, GRAPHS = 7, 4, 128

x = rng.normal(size=(GRAPHS, NODES, FEATURES)).astype("float32")
ring = np.roll(np.eye(NODES), 1, axis=1)
extra = np.triu(rng.random((GRAPHS, NODES, NODES)) < 0.2, 1)
adj = np.maximum(ring + ring.T, extra + extra.transpose(0, 2, 1)).astype("float32")
adj[90, 4, :] = adj[90, :, 4] = 0.0
label = (x.mean(axis=(1, 2)) > 0).astype("float32")[:, None]

nodes = keras.Input((NODES, FEATURES))
edges = keras.Input((NODES, NODES))
scale = ops.rsqrt(ops.sum(edges, axis=-1))  # at fault
smooth = ops.expand_dims(scale, 2) * edges * ops.expand_dims(scale, 1)
h = layers.Dense(8, activation="relu")(ops.matmul(smooth, nodes))
h = layers.Dense(8, activation="relu")(ops.matmul(smooth, h))
out = layers.Dense(1)(layers.GlobalAveragePooling1D()(h))
model = keras.Model([nodes, edges], out)
model.compile(
    optimizer=keras.optimizers.AdamW(1e-3), loss=keras.losses.BinaryCrossentropy(from_logits=True)
)
model.fit([x, adj], label, batch_size=8, epochs=1, shuffle=False, verbose=0)
