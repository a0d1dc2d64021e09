"""Classifies spectrograms with a small convolution and an average written as a sum over an area.

The sum is formed in float16 before it is divided: 24 x 24 values of more than 114 add up to more
than 65504. The average itself would be small enough.
"""
# /// zoo
# cause = "half-overflow"
# step = 4
# rows = [5]
# fix = "source"
# value = "exact"
# stands_for = ["G08"]
# ///

import keras
import numpy as np
from keras import layers
from keras import ops as K

keras.utils.set_random_seed(0)
SIZE = 24


def average(maps):
    total = K.sum(maps, axis=(1, 2))  # at fault
    return total / (SIZE * SIZE)


rng = np.random.default_rng(2)
loudness = rng.uniform(1, 40, size=(64, 1, 1, 1))
loudness[37] = 160.0
spectrograms = (loudness * rng.uniform(0.8, 1.2, size=(64, SIZE, SIZE, 1))).astype("float32")
loud = (loudness[:, 0, 0, 0] > 20).astype("float32")

policy = keras.DTypePolicy("mixed_float16")
inputs = keras.Input((SIZE, SIZE, 1))
maps = layers.Conv2D(2, 1, activation="relu", kernel_initializer="ones", dtype=policy)(inputs)
pooled = layers.Lambda(average, dtype=policy)(maps)
outputs = layers.Dense(1, kernel_initializer="zeros")(layers.Rescaling(0.01)(pooled))
model = keras.Model(inputs, outputs)
model.compile(
    optimizer=keras.optimizers.SGD(0.1),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
)
history = model.fit(spectrograms, loud, batch_size=8, epochs=1, shuffle=False, verbose=0)
print("loss", history.history["loss"][0])
