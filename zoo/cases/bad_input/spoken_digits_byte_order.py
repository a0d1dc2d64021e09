"""Classifies spoken commands from raw float recordings of two machines.

One of them wrote its floats with the high byte first. Read the other way round they are garbage of
any magnitude, up to 1e38, and the first layer overflows.
"""
# /// zoo
# cause = "bad-input"
# step = 4
# rows = [0, 1, 2, 3, 4, 5, 6, 7]
# fix = "data"
# stands_for = ["I07"]
# ///

import io

import keras
import numpy as np


def shard(rng, labels, order):
    """Stand in for a file of recordings: 64 samples each."""
    time = np.arange(64)
    waves = np.sin(time * (0.2 + 0.15 * labels[:, None])) * rng.uniform(0.2, 1.0, (len(labels), 1))
    waves += 0.01 * rng.normal(size=waves.shape)
    return io.BytesIO(waves.astype(order + "f4").tobytes())


def read(file):
    return np.frombuffer(file.read(), dtype="<f4").reshape(-1, 64, 1)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(5)
labels = rng.integers(0, 3, 64)
shards = [shard(rng, labels[:32], "<"), shard(rng, labels[32:], ">")]
recordings = np.concatenate([read(file) for file in shards])

model = keras.Sequential()
model.add(keras.Input((64, 1)))
model.add(keras.layers.Conv1D(8, 9, strides=4, activation="relu"))
model.add(keras.layers.Flatten())
model.add(keras.layers.Dense(16, activation="relu"))
model.add(keras.layers.Dense(3))
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
for epoch in range(3):
    for start in range(0, len(recordings), 8):
        rows = slice(start, start + 8)
        loss = model.train_on_batch(recordings[rows], labels[rows])
    print("epoch", epoch, "loss", loss)
