"""Whitens digits with a fixed first layer that is computed from the data by PCA.

Pixels that are black in each image make eigenvalues of 0, rounded to slightly negative ones: the
kernel of the layer, 1 / sqrt(eigenvalue), is NaN before the first step.
"""
# /// zoo
# cause = "bad-weights"
# step = 0
# fix = "data"
# stands_for = ["I03", "G10"]
# ///

import keras
import numpy as np
from sklearn.datasets import load_digits


def whitening(x):
    """Return kernel and bias that make the covariance of x the identity."""
    mean = x.mean(axis=0)
    covariance = np.cov(x - mean, rowvar=False)
    values, vectors = np.linalg.eigh(covariance)
    kernel = vectors / np.sqrt(values)
    return kernel.astype("float32"), (-mean @ kernel).astype("float32")


keras.utils.set_random_seed(0)
np.seterr(all="ignore")
digits = load_digits()
x, y = digits.data[:800] / 16.0, digits.target[:800]

white = keras.layers.Dense(64, trainable=False, name="whitening")
model = keras.Sequential(
    [
        keras.Input((64,), name="pixels"),
        white,
        keras.layers.Dense(32, activation="tanh"),
        keras.layers.Dense(10),
    ]
)
white.set_weights(whitening(x))
model.compile(
    optimizer="adam",
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
history = model.fit(x.astype("float32"), y, batch_size=80, epochs=3, verbose=0)
print("loss", history.history["loss"][-1])
