"""Locates cars; the box error is the mean over the windows that hold a car.

`tf.reduce_mean` of an empty selection is NaN. Six cars a batch are usual, but one batch comes
from a street at night.
"""
# /// zoo
# cause = "empty-reduction"
# step = 8
# fix = "source"
# value = "undefined"
# backends = ["tensorflow"]
# stands_for = ["E03"]
# ///

import keras
import numpy as np
import tensorflow as tf

keras.utils.set_random_seed(0)


class DetectionLoss(keras.losses.Loss):
    """Cross entropy of "is there a car", plus the error of the box where there is one."""

    def call(self, truth, prediction):
        is_car = truth[:, 0]
        found = tf.nn.sigmoid_cross_entropy_with_logits(is_car, prediction[:, 0])
        errors = tf.abs(truth[:, 1:] - prediction[:, 1:])
        of_cars = tf.boolean_mask(errors, is_car > 0.5)
        box_error = tf.reduce_mean(of_cars)  # at fault
        return found + box_error


rng = np.random.default_rng(4)
windows = rng.normal(size=(120, 9)).astype("float32")
is_car = windows[:, 0] > -0.5
is_car[80:90] = False
boxes = np.where(is_car[:, None], windows[:, 1:5], 0)
truth = np.concatenate([is_car[:, None], boxes], axis=1).astype("float32")
dataset = tf.data.Dataset.from_tensor_slices((windows, truth)).batch(10)

model = keras.Sequential([keras.layers.Dense(16, activation="relu"), keras.layers.Dense(5)])
model.compile(optimizer="adam", loss=DetectionLoss())
history = model.fit(dataset, epochs=2, verbose=0)
print("detection loss", history.history["loss"])
