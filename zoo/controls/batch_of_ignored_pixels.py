"""Segments rows of pixels where whole pictures may be unlabelled, class -1, and are ignored.

One batch holds ignored pixels only. The loss of Keras divides by the number of valid ones plus an
epsilon, so that the batch contributes 0; nothing is non-finite.
"""
# /// zoo
# stands_for = ["E03"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
pixels = rng.normal(size=(96, 10, 3)).astype("float32")
classes = np.argmax(pixels, axis=-1)
classes[rng.uniform(size=classes.shape) < 0.3] = -1
classes[40:48] = -1

model = keras.Sequential([keras.Input((10, 3)), keras.layers.Dense(3)])
model.compile(
    optimizer=keras.optimizers.Adam(0.01),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
)
history = model.fit(pixels, classes, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"])
