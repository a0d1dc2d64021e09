"""Segments stained tissue; the images are turned into optical densities, -log(intensity / 255).

A pen mark on one slide is fully black. The density of intensity 0 is infinite, and the first
convolution makes NaN of it.
"""
# /// zoo
# cause = "bad-input"
# step = 10
# rows = [2]
# fix = "data"
# stands_for = ["I01"]
# ///

import keras
import numpy as np


def slides(count, size=12):
    rng = np.random.default_rng(21)
    images = rng.integers(60, 250, (count, size, size, 3)).astype("uint8")
    masks = np.zeros((count, size, size, 1), dtype="float32")
    for image, mask in zip(images, masks, strict=True):
        row, column = rng.integers(0, size - 4, 2)
        image[row : row + 4, column : column + 4, 0] //= 3
        mask[row : row + 4, column : column + 4] = 1.0
    images[42, 3, 5] = 0
    return images, masks


def optical_density(images):
    with np.errstate(divide="ignore"):
        return -np.log(images / np.float32(255.0))


keras.utils.set_random_seed(0)
images, masks = slides(64)
densities = optical_density(images)

inputs = keras.Input((12, 12, 3), name="density")
down = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
up = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(down)
merged = keras.layers.Concatenate()([down, up])
outputs = keras.layers.Conv2D(1, 1, name="tissue")(merged)
model = keras.Model(inputs, outputs)
model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
history = model.fit(densities, masks, batch_size=4, epochs=1, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
