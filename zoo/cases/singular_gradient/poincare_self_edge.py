"""Hyperbolic embedding of a hierarchy. The root is listed as its own parent, the two points
coincide, and arccosh has no derivative at 1."""

# /// zoo
# cause = "singular-gradient"
# step = 13
# rows = [2]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(11)
rng = np.random.default_rng(11)
NODES = 40

child = rng.integers(1, NODES, 160)
parent = np.where(rng.random(160) < 0.5, child // 2, rng.integers(0, NODES, 160))
parent = np.where(parent == child, (child + 1) % NODES, parent)
child[106], parent[106] = 0, 0
edges = np.stack([child, parent], axis=1).astype("int32")
related = (parent == child // 2).astype("float32")[:, None]


class PoincareDistance(layers.Layer):
    """Geodesic distance of the two points of each pair in the unit ball."""

    def call(self, pair):
        u, v = pair[:, 0], pair[:, 1]
        gap = ops.sum(ops.square(u - v), axis=-1, keepdims=True)
        room_u = 1.0 - ops.sum(ops.square(u), axis=-1, keepdims=True)
        room_v = 1.0 - ops.sum(ops.square(v), axis=-1, keepdims=True)
        return ops.arccosh(1.0 + 2.0 * gap / (room_u * room_v))  # at fault


pairs = keras.Input((2,), dtype="int32")
points = layers.Embedding(
    NODES, 3, embeddings_initializer=keras.initializers.RandomUniform(-0.3, 0.3, seed=1)
)(pairs)
distance = PoincareDistance()(points)
logit = layers.Lambda(lambda d: (0.7 - d) / 0.3, output_shape=(1,))(distance)
model = keras.Model(pairs, logit)
model.compile(
    optimizer=keras.optimizers.SGD(0.02), loss=keras.losses.BinaryCrossentropy(from_logits=True)
)
model.fit(edges, related, batch_size=8, epochs=2, shuffle=False, verbose=0)
