"""A recall that is 0 / 0 on batches without a positive, beside a finite loss."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(1)
rng = np.random.default_rng(1)
x = rng.normal(size=(160, 4)).astype("float32")
y = (x[:, :1] > 0.3).astype("float32")
y[24:40] = 0


def batch_recall(y_true, y_pred):
    hit = ops.sum(y_true * ops.cast(y_pred > 0.5, "float32"))
    return hit / ops.sum(y_true)


model = keras.Sequential(
    [keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(1, activation="sigmoid")]
)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=[batch_recall])
model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
