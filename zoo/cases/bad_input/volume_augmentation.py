"""Learns to tell noises apart from spectrograms whose volume is changed at random.

The random volume goes from 0.0 to 3.9 in steps of 0.1. The augmentation divides by the loudest
value that is left; at volume 0 that is 0 / 0.
"""
# /// zoo
# cause = "bad-input"
# step = 3
# rows = [1]
# fix = "data"
# stands_for = ["I03", "I06"]
# ///

import keras
import numpy as np


def augment(spectrogram, volume):
    """Change the volume, clip as the sound card would, and scale back."""
    louder = np.clip(spectrogram * volume, 0.0, 1.5)
    return louder / louder.max()


class Noises(keras.utils.PyDataset):
    """Spectrograms with a new volume each time."""

    def __init__(self, spectrograms, labels):
        super().__init__(workers=1)
        self.spectrograms, self.labels = spectrograms, labels
        self.volumes = np.random.default_rng(6).integers(0, 40, 64) / 10

    def __len__(self):
        return len(self.labels) // 8

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        pairs = zip(self.spectrograms[rows], self.volumes[rows], strict=True)
        batch = np.stack([augment(sound, volume) for sound, volume in pairs])
        return batch[..., None].astype("float32"), self.labels[rows]


keras.utils.set_random_seed(0)
np.seterr(all="ignore")
rng = np.random.default_rng(0)
labels = rng.integers(0, 4, 64)
sounds = rng.uniform(0.0, 0.6, (64, 8, 8))
sounds[np.arange(64), 2 * labels] += 0.4

model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(6, 3, activation="swish"),
        keras.layers.GlobalMaxPooling2D(),
        keras.layers.Dense(4, activation="softmax"),
    ]
)
model.compile(optimizer="nadam", loss="sparse_categorical_crossentropy")
history = model.fit(Noises(sounds, labels), epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
