"""Batch normalisation of features of which two never change: their variance is exactly 0.

The layer adds its epsilon before it divides.
"""
# /// zoo
# stands_for = ["I03", "G10"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(15)
x = rng.normal(size=(120, 6)).astype("float32")
x[:, 2], x[:, 5] = 0.0, 7.25
y = (x[:, 0] > x[:, 1]).astype("float32")

model = keras.Sequential(
    [
        keras.Input((6,)),
        keras.layers.BatchNormalization(epsilon=1e-5),
        keras.layers.Dense(12, activation="relu"),
        keras.layers.BatchNormalization(momentum=0.5),
        keras.layers.Dense(1),
    ]
)
model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
history = model.fit(x, y, batch_size=12, epochs=3, verbose=0)
print("loss", history.history["loss"][-1], "evaluated", model.evaluate(x, y, verbose=0))
