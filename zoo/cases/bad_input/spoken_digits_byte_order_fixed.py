"""Classifies spoken commands; each shard is read in the byte order it was written in."""

import io

import keras
import numpy as np


def shard(rng, labels, order):
    """Stand in for a file of recordings: 64 samples each."""
    time = np.arange(64)
    waves = np.sin(time * (0.2 + 0.15 * labels[:, None])) * rng.uniform(0.2, 1.0, (len(labels), 1))
    waves += 0.01 * rng.normal(size=waves.shape)
    return io.BytesIO(waves.astype(order + "f4").tobytes())


def read(file, order):
    return np.frombuffer(file.read(), dtype=order + "f4").reshape(-1, 64, 1).astype("float32")


keras.utils.set_random_seed(0)
rng = np.random.default_rng(5)
labels = rng.integers(0, 3, 64)
shards = [shard(rng, labels[:32], "<"), shard(rng, labels[32:], ">")]
recordings = np.concatenate([read(shards[0], "<"), read(shards[1], ">")])

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
