"""Learns to recognise writers from all valid triplets that a batch offers.

The loss is the sum over the triplets divided by their number. A batch in which every writer
occurs once has no positive pair, hence no triplet, and the quotient is 0 / 0.
"""
# /// zoo
# cause = "empty-reduction"
# step = 13
# fix = "source"
# value = "undefined"
# stands_for = ["E01"]
# ///

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)


class BatchTriplets(keras.losses.Loss):
    def __init__(self, margin=1.0, name="batch_triplets"):
        super().__init__(reduction=None, name=name)
        self.margin = margin

    def call(self, writers, embeddings):
        same = ops.equal(writers, ops.transpose(writers))
        other = ops.cast(ops.logical_not(same), "float32")
        positive = ops.cast(same, "float32") - ops.eye(ops.shape(embeddings)[0])
        squares = ops.sum(
            ops.square(embeddings[:, None] - embeddings[None]),
            axis=-1,
        )
        hinge = ops.relu(squares[:, :, None] - squares[:, None, :] + self.margin)
        valid = positive[:, :, None] * other[:, None, :]
        return ops.sum(hinge * valid) / ops.sum(valid)  # at fault


class Batches(keras.utils.PyDataset):
    """Batches of six samples; the archive was scanned in the order of the shelf."""

    def __init__(self, samples, writers):
        super().__init__()
        self.samples, self.writers = samples, writers

    def __len__(self):
        return len(self.samples) // 6

    def __getitem__(self, index):
        part = slice(6 * index, 6 * index + 6)
        return self.samples[part], self.writers[part, None]


rng = np.random.default_rng(6)
writers = rng.integers(0, 6, size=120)
writers[0:120:6] = writers[1:120:6]
writers[78:84] = np.arange(6)
hands = rng.normal(size=(6, 10))
samples = hands[writers] + rng.normal(0, 0.3, size=(120, 10))

model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(4)])
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=BatchTriplets())
data = Batches(samples.astype("float32"), writers.astype("float32"))
history = model.fit(data, epochs=1, shuffle=False, verbose=0)
print("triplet loss", history.history["loss"][-1])
