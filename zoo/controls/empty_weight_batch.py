"""Whole batches of sample weight zero with the built-in reduction."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(58)
rng = np.random.default_rng(58)
x = rng.normal(size=(320, 5)).astype("float32")
y = rng.integers(0, 3, 320)
weight = np.ones(320, "float32")
weight[96:160] = 0.0
model = keras.Sequential([keras.Input((5,)), layers.BatchNormalization(), layers.Dense(3)])
model.compile(
    "adam",
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    weighted_metrics=["accuracy"],
)
model.fit(x, y, sample_weight=weight, batch_size=32, epochs=2, shuffle=False, verbose=0)
