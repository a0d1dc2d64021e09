"""Contrast normalisation of patches in float32, which can hold the guard of 1e-8."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(29)
rng = np.random.default_rng(29)
B = 16
patches = rng.random((256, 8, 8, 1)).astype("float32")
texture = patches.std(axis=(1, 2, 3)) > np.median(patches.std(axis=(1, 2, 3)))
patches[5 * B + 14] = 1.0  # overexposed


class ContrastNorm(layers.Layer):
    EPS = 1e-8

    def call(self, image):
        axes = (1, 2)
        mean = keras.ops.mean(image, axis=axes, keepdims=True)
        offset = image - mean
        spread = keras.ops.mean(keras.ops.abs(offset), axis=axes, keepdims=True)
        return offset / (spread + self.EPS)


model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        ContrastNorm(dtype="float32"),
        layers.Conv2D(6, 3, activation="relu", dtype="float32"),
        layers.Flatten(dtype="float32"),
        layers.Dense(1, dtype="float32"),
    ]
)
model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
model.fit(patches, texture.astype("float32"), batch_size=B, epochs=1, shuffle=False, verbose=0)
