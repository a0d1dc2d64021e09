"""Graph attention without self-loops, masked in place. In one road network a junction was closed on
all sides: its row of scores is -inf throughout.
"""

# /// zoo
# cause = "fully-masked-row"
# step = 4
# rows = [0]
# fix = "source"
# value = "undefined"
# backends = ["torch"]
# ///
import keras
import numpy as np
import torch
from keras import layers

keras.utils.set_random_seed(305)
rng = np.random.default_rng(305)
NETWORKS, JUNCTIONS, BATCH = 72, 6, 6

roads = rng.uniform(size=(NETWORKS, JUNCTIONS, JUNCTIONS)) < 0.4
roads |= np.roll(np.eye(JUNCTIONS, dtype=bool), 1, axis=1)[None]
roads |= roads.transpose(0, 2, 1)
roads &= ~np.eye(JUNCTIONS, dtype=bool)
roads[4 * BATCH, 2, :] = False
roads[4 * BATCH, :, 2] = False
traffic = rng.normal(size=(NETWORKS, JUNCTIONS, 3)).astype("float32")
delay = (traffic[..., 0].mean(1) + roads.sum((1, 2)) / 20).astype("float32")


class RoadAttention(layers.Layer):
    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.value = layers.Dense(width)
        self.source, self.target = layers.Dense(1), layers.Dense(1)

    def build(self, nodes_shape, roads_shape):
        for part in (self.value, self.source, self.target):
            part.build(nodes_shape)

    def call(self, nodes, roads):
        scores = self.source(nodes) + self.target(nodes).transpose(1, 2)
        scores = torch.nn.functional.leaky_relu(scores, 0.2)
        scores.masked_fill_(roads < 0.5, float("-inf"))
        attention = scores.softmax(dim=-1)  # at fault
        return torch.tanh(attention @ self.value(nodes))


nodes, edges = keras.Input((JUNCTIONS, 3)), keras.Input((JUNCTIONS, JUNCTIONS))
pooled = layers.GlobalAveragePooling1D()(RoadAttention(8)(nodes, edges))
model = keras.Model([nodes, edges], layers.Dense(1)(pooled))
model.compile(optimizer=keras.optimizers.Adam(5e-3), loss="mse")
model.fit(
    [traffic, roads.astype("float32")],
    delay,
    batch_size=BATCH,
    epochs=2,
    shuffle=False,
    verbose=2,
)
