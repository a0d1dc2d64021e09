"""Separates two classes so well that the logits reach many thousands.

A sigmoid would be exactly 0 or 1 there. The loss takes the logits themselves and stays finite.
"""
# /// zoo
# stands_for = ["D01"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(3)
labels = rng.integers(0, 2, (128, 1)).astype("float32")
x = (2.0 * labels - 1.0) * 1000.0 + rng.normal(size=(128, 5))
# Two samples are mislabelled; their loss is the size of the logit.
labels[[17, 90]] = 1.0 - labels[[17, 90]]

model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile(
    keras.optimizers.SGD(1e-5),
    loss=keras.losses.BinaryFocalCrossentropy(from_logits=True, gamma=1.0),
    metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)],
)
history = model.fit(x, labels, batch_size=16, epochs=3, verbose=0)
logits = model.predict(x, verbose=0)
print("largest logit", float(abs(logits).max()), "loss", history.history["loss"][-1])
