"""A small convolutional backbone, built as those of keras.applications are."""

import keras
import numpy as np

SHAPE = (16, 16, 3)


def small_backbone(
    include_top=True, weights=None, input_shape=SHAPE, pooling=None, name="small_backbone"
):
    inputs = keras.Input(input_shape)
    x = keras.layers.Conv2D(4, 3, strides=2, use_bias=False, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU()(x)
    if pooling == "avg":
        x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, x, name=name)


def images(num_rows, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (num_rows, *SHAPE)).astype("float32")
