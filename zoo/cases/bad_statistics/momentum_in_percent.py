"""Trains a small image network; the momentum of the normalisation is meant as 99 percent.

Keras takes the number as it is: the moving statistics grow by a factor of 99 in each step and
overflow, while the loss, which only uses the batch's own statistics, is fine.
"""
# /// zoo
# cause = "bad-statistics"
# step = {jax = 19, tensorflow = 19, torch = 19}
# fix = "setting"
# stands_for = ["G02", "L10"]
# ///

import keras
import numpy as np
from sklearn.datasets import load_digits

MOMENTUM = 99


def block(x, filters):
    x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=MOMENTUM)(x)  # at fault
    return keras.layers.Activation("relu")(x)


keras.utils.set_random_seed(0)
digits = load_digits()
images = (digits.images[:480, ..., None] / 16.0).astype("float32")
labels = digits.target[:480]

inputs = keras.Input((8, 8, 1))
x = keras.layers.MaxPooling2D(2)(block(inputs, 6))
x = keras.layers.GlobalAveragePooling2D()(block(x, 8))
model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(images, labels, batch_size=20, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1], "mean", float(np.mean(model.predict(images, verbose=0))))
