"""Classifies short clips that a loader decodes into a buffer it allocates once per batch.

The last batch has fewer clips than the buffer has rows. The rows that nobody fills keep what the
memory held before: here white pixels, and four bytes of 255 read as float32 are NaN.
"""
# /// zoo
# cause = "bad-input"
# step = 5
# rows = [2, 3]
# fix = "data"
# stands_for = ["V01", "V02", "I07"]
# ///

import math

import keras
import numpy as np


class ClipSequence(keras.utils.PyDataset):
    """Loads clips of shape (frames, height, width) in batches."""

    def __init__(self, clips, labels, batch_size):
        super().__init__()
        self.clips, self.labels, self.batch_size = clips, labels, batch_size

    def __len__(self):
        return math.ceil(len(self.clips) / self.batch_size)

    def __getitem__(self, index):
        chosen = range(index * self.batch_size, (index + 1) * self.batch_size)
        # Memory as np.empty may hand it out: the pixels of a frame decoded earlier.
        heap = np.full((self.batch_size, 4, 8, 8, 1), 0xFFFFFFFF, dtype="uint32")
        batch = heap.view("float32")
        labels = np.zeros((self.batch_size,), dtype="int32")
        for row, number in enumerate(chosen):
            if number < len(self.clips):
                batch[row] = self.clips[number][..., None] / 255.0
                labels[row] = self.labels[number]
        return batch, labels


keras.utils.set_random_seed(0)
rng = np.random.default_rng(1)
labels = rng.integers(0, 2, 22)
clips = rng.integers(0, 200, (22, 4, 8, 8)) + 50 * labels[:, None, None, None]

model = keras.Sequential(
    [
        keras.Input((4, 8, 8, 1)),
        keras.layers.Conv3D(4, 3, padding="same", activation="relu"),
        keras.layers.GlobalAveragePooling3D(),
        keras.layers.Dense(2, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(ClipSequence(clips, labels, 4), epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
