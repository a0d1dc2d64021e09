"""Classifies short clips; the last batch is as long as there are clips left."""

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
        stop = min((index + 1) * self.batch_size, len(self.clips))
        chosen = range(index * self.batch_size, stop)
        batch = np.empty((len(chosen), 4, 8, 8, 1), dtype="float32")
        labels = np.empty((len(chosen),), dtype="int32")
        for row, number in enumerate(chosen):
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
