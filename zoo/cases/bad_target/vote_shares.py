"""Learns how a panel of people would classify a galaxy; the target is the share of the votes.

One galaxy was shown to nobody: 0 votes of 0 are NaN for each class.
"""
# /// zoo
# cause = "bad-target"
# step = 6
# rows = [2]
# fix = "data"
# stands_for = ["I01", "I03"]
# ///

import keras
import numpy as np


def galaxies(count):
    rng = np.random.default_rng(23)
    images = rng.uniform(0.0, 0.2, (count, 10, 10, 1)).astype("float32")
    votes = np.zeros((count, 3))
    for image, ballot in zip(images, votes, strict=True):
        kind = rng.integers(0, 3)
        image[4 : 6 + kind, 4 - kind : 6] += 0.7
        ballot[:] = rng.multinomial(20, 0.1 + 0.7 * np.eye(3)[kind])
    votes[6 * 10 + 2] = 0
    return images, votes


class Galaxies(keras.utils.PyDataset):
    """Images with the share of votes of each class."""

    def __init__(self, images, votes, batch_size):
        super().__init__()
        self.images, self.votes, self.batch_size = images, votes, batch_size

    def __len__(self):
        return len(self.images) // self.batch_size

    def __getitem__(self, index):
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        votes = self.votes[rows]
        with np.errstate(invalid="ignore"):
            shares = votes / votes.sum(axis=1, keepdims=True)
        return self.images[rows], shares.astype("float32")


keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((10, 10, 1)),
        keras.layers.SeparableConv2D(8, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3),
        keras.layers.Softmax(),
    ]
)
model.compile("adam", "categorical_crossentropy")
history = model.fit(Galaxies(*galaxies(120), 10), epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
