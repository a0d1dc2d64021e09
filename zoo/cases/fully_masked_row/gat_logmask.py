"""Attention over a friendship graph; the adjacency enters as a log mask."""

# /// zoo
# cause = "fully-masked-row"
# step = 7
# rows = [13]
# fix = "source"
# value = "undefined"
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(12)
rng = np.random.default_rng(12)
G, N, BATCH = 256, 6, 16
links = (rng.random((G, N, N)) < 0.4).astype("float32")
links = np.maximum(links, links.transpose(0, 2, 1))
links[:, np.arange(N), (np.arange(N) + 1) % N] = 1.0
links[7 * BATCH + 13, 2, :] = 0.0  # has unfollowed everybody
people = rng.normal(size=(G, N, 4)).astype("float32")
mood = people.mean(axis=(1, 2), keepdims=False).astype("float32")
with np.errstate(divide="ignore"):
    log_links = np.log(links).astype("float32")


class GraphAttention(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.value = layers.Dense(units)
        self.source = layers.Dense(1)
        self.target = layers.Dense(1)

    def call(self, nodes, log_mask):
        h = self.value(nodes)
        score = self.source(h) + ops.transpose(self.target(h), (0, 2, 1))
        score = ops.leaky_relu(score, 0.2)
        attention = ops.softmax(score + log_mask, axis=-1)  # at fault
        return ops.tanh(ops.matmul(attention, h))


nodes_in = keras.Input((N, 4))
mask_in = keras.Input((N, N))
h = GraphAttention(12)(nodes_in, mask_in)
out = layers.Dense(1)(layers.Flatten()(h))
model = keras.Model([nodes_in, mask_in], out)
model.compile(optimizer=keras.optimizers.AdamW(2e-3), loss="mse")
model.fit([people, log_links], mood, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
