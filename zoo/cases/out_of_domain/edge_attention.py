"""Attention over the edges of a graph, normalised per target node by scatter sums.

The scores are put through a logarithm before they are divided by their sum. Nothing keeps them
positive, and the first negative score gives NaN.
"""

# /// zoo
# cause = "out-of-domain"
# step = 6
# rows = [3]
# fix = "source"
# value = "undefined"
# backends = ["torch"]
# stands_for = ["GRIST 13"]
# ///
import keras
import numpy as np
import torch
from keras import layers

NODES, EDGES = 4, 10
keras.utils.set_random_seed(0)
rng = np.random.default_rng(22)
edge_features = rng.uniform(3.0, 5.0, size=(96, EDGES, 3))
edge_features[51, 7] = -4.0  # a flow against the direction of the edge
edge_features = edge_features.astype("float32")
target_node = torch.as_tensor(np.arange(EDGES) % NODES)
flow = edge_features.sum(axis=(1, 2))[:, None] / 50.0


def softmax(src, index, num_nodes):
    out = src.log()  # at fault
    total = torch.zeros(src.shape[0], num_nodes).scatter_add(1, index, out)
    return out / (total.gather(1, index) + 1e-16)


class EdgeAttention(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        positive = keras.initializers.RandomUniform(0.3, 0.5, seed=0)
        self.score = layers.Dense(1, kernel_initializer=positive)
        self.value = layers.Dense(4)

    def call(self, edges):
        scores = self.score(edges)[..., 0]
        index = target_node.expand(scores.shape[0], -1)
        alpha = softmax(scores, index, NODES)
        return (alpha[..., None] * self.value(edges)).sum(dim=1)


model = keras.Sequential([keras.Input((EDGES, 3)), EdgeAttention(), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(2e-3), loss="mse")
model.fit(edge_features, flow, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("squared error:", model.evaluate(edge_features, flow, verbose=0))
