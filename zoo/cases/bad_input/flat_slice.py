"""Slices of a scan, each standardised when it is loaded. An empty slice has a deviation of 0, so
the loader divides 0 by 0 in NumPy.
"""

# /// zoo
# cause = "bad-input"
# step = 7
# rows = [3]
# fix = "data"
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(100)
rng = np.random.default_rng(100)
SLICES, SIDE, BATCH = 96, 8, 8

tumour = rng.integers(0, 2, SLICES)
scan = rng.normal(100, 15, (SLICES, SIDE, SIDE))
scan[tumour == 1, 2:5, 3:6] += 40
scan[59] = 0.0  # above the head


class SliceLoader(keras.utils.PyDataset):
    def __len__(self):
        return SLICES // BATCH

    def __getitem__(self, index):
        rows = range(index * BATCH, (index + 1) * BATCH)
        images = np.stack([self.standardise(scan[row]) for row in rows])
        return images[..., None].astype("float32"), tumour[list(rows)].astype("float32")[:, None]

    @staticmethod
    def standardise(image):
        with np.errstate(invalid="ignore"):
            return (image - image.mean()) / image.std()


model = keras.Sequential(
    [
        keras.Input((SIDE, SIDE, 1)),
        layers.Conv2D(6, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(1),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(2e-3),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
)
model.fit(SliceLoader(), epochs=2, shuffle=False, verbose=2)
