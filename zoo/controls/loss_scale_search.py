"""Trains in float16 with a loss scale that starts far too high.

The first steps overflow and are skipped, while the scale is halved: that is how it finds its value.
"""
# /// zoo
# stands_for = ["H08"]
# ///

import keras
import numpy as np
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
keras.mixed_precision.set_dtype_policy("mixed_float16")
digits = load_digits()
images = (digits.images[:512, ..., None] / 16.0).astype("float32")
labels = digits.target[:512]

model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, dtype="float32"),
    ]
)
optimizer = keras.optimizers.LossScaleOptimizer(
    keras.optimizers.Adam(3e-3), initial_scale=2.0**30, dynamic_growth_steps=20
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer, loss, metrics=["accuracy"])
history = model.fit(images, labels, batch_size=32, epochs=4, shuffle=False, verbose=0)
scale = float(np.asarray(keras.ops.convert_to_numpy(optimizer.dynamic_scale)))
print("loss", history.history["loss"][-1], "scale", scale)
