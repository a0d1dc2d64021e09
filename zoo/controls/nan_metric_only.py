"""Recall per batch is 0/0 in batches without positives; the loss is fine."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(55)
rng = np.random.default_rng(55)
x = rng.normal(size=(384, 6)).astype("float32")
y = (x[:, :1] + x[:, 1:2] > 1.8).astype("float32")
y[96:160] = 0.0


def batch_recall(y_true, p):
    hits = ops.sum(y_true * ops.cast(p > 0.5, "float32"))
    return hits / ops.sum(y_true)


model = keras.Sequential([keras.Input((6,)), layers.Dense(8, "relu"), layers.Dense(1, "sigmoid")])
model.compile("adam", "binary_crossentropy", metrics=[batch_recall])
history = model.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0)
print(history.history)
