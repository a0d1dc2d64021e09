"""Segments bright cells on a dark background with a small U-Net and a dice loss.

The network normalises its two maps per pixel as exp(map) / sum(exp(map)), so that the code needs
no softmax op. One picture was taken with a longer exposure; there the maps exceed 88.7, and the
exponential leaves float32.
"""
# /// zoo
# cause = "overflow"
# step = 3
# rows = [2]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 17"]
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)


def pixelwise_softmax(maps):
    e = ops.exp(maps)  # at fault
    return e / ops.sum(e, axis=3, keepdims=True)


def dice_loss(mask, prediction):
    overlap = ops.sum(mask * prediction, axis=(1, 2, 3))
    total = ops.sum(mask, axis=(1, 2, 3)) + ops.sum(prediction, axis=(1, 2, 3))
    return 1 - 2 * overlap / (total + 1e-5)


def pictures(count, size, rng):
    rows, columns = np.mgrid[:size, :size]
    centre = rng.uniform(4, size - 4, size=(count, 2, 1, 1))
    cell = (rows - centre[:, 0]) ** 2 + (columns - centre[:, 1]) ** 2 < 9
    picture = rng.uniform(0, 0.2, size=cell.shape) + cell
    return picture[..., None].astype("float32"), np.stack([~cell, cell], -1).astype("float32")


x, masks = pictures(24, 12, np.random.default_rng(0))
x[14] *= 4000  # 12 bit, not divided by 4095 as the others are

image = keras.Input((12, 12, 1))
down = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
low = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.MaxPooling2D()(down))
up = layers.Concatenate()([down, layers.UpSampling2D()(low)])
probabilities = layers.Lambda(pixelwise_softmax)(layers.Conv2D(2, 1)(up))

unet = keras.Model(image, probabilities)
unet.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.9), loss=dice_loss)
history = unet.fit(x, masks, batch_size=4, epochs=2, shuffle=False, verbose=0)
print("dice loss", history.history["loss"][-1])
