"""Histograms normalised by their sum, guarded by the smallest double. In float32 this is 0, and one
picture is missing all its counts."""

# /// zoo
# cause = "epsilon-underflow"
# step = 8
# rows = [4]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(59)
rng = np.random.default_rng(59)

counts = rng.poisson(6.0, (144, 10)).astype("float32")
peak = counts.argmax(axis=1)
counts[68] = 0.0

TINY = float(np.finfo(np.float64).tiny)


def fractions(c):
    return c / (ops.sum(c, axis=-1, keepdims=True) + TINY)  # at fault


model = keras.Sequential(
    [
        keras.Input((10,)),
        layers.Lambda(fractions),
        layers.Dense(16, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(counts, peak, batch_size=8, epochs=2, shuffle=False, verbose=0)
