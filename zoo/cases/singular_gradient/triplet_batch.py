"""A practitioner trains embeddings with the triplet loss, the distance being euclidean.

One anchor has itself as its positive. Their distance is 0, where the square root has no finite
derivative: the loss stays finite and the gradient does not.
"""
# /// zoo
# cause = "singular-gradient"
# step = 7
# rows = [5]
# fix = "source"
# value = "exact"
# ///

import keras
import numpy as np
from keras import ops

BATCH_SIZE = 16
MARGIN = 5.0


def euclidean(a, b):
    squared = ops.sum(ops.square(a - b), axis=-1)
    return ops.sqrt(squared)  # at fault


def triplet_loss(_, embeddings):
    anchor, positive, negative = ops.split(embeddings, 3, axis=-1)
    return ops.relu(euclidean(anchor, positive) - euclidean(anchor, negative) + MARGIN)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
centres = rng.normal(size=(10, 12))
labels = rng.integers(10, size=(192, 2))
labels[:, 1] = (labels[:, 0] + 1 + labels[:, 1] % 9) % 10
anchors, positives = (centres[labels[:, 0]] + 0.3 * rng.normal(size=(192, 12)) for _ in range(2))
negatives = centres[labels[:, 1]] + 0.3 * rng.normal(size=(192, 12))
positives[7 * BATCH_SIZE + 5] = anchors[7 * BATCH_SIZE + 5]

inputs = [keras.Input((12,), name=name) for name in ("anchor", "positive", "negative")]
embed = keras.Sequential(
    [
        keras.layers.Dense(24, activation="tanh"),
        keras.layers.Dense(8),
    ]
)
model = keras.Model(inputs, keras.layers.Concatenate()([embed(x) for x in inputs]))
model.compile(keras.optimizers.Adam(1e-3), loss=triplet_loss)
triplets = [x.astype("float32") for x in (anchors, positives, negatives)]
history = model.fit(
    triplets, np.zeros(192), batch_size=BATCH_SIZE, epochs=2, shuffle=False, verbose=0
)
print("loss", history.history["loss"])
