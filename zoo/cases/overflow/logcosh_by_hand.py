"""Robust regression with log(cosh(error)), written as it is spelled. An error of more than 89
degrees overflows the cosh.
"""

# /// zoo
# cause = "overflow"
# step = 11
# rows = [1]
# fix = "source"
# value = "exact"
# backends = ["tensorflow"]
# ///
import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(64)
rng = np.random.default_rng(64)
N, BATCH = 320, 16
angles = rng.uniform(0, 1, (N, 4)).astype("float32")
heading = (3 * angles[:, 0] - 2 * angles[:, 2]).astype("float32")
heading[11 * BATCH + 1] = 270.0  # west, in degrees

dataset = tf.data.Dataset.from_tensor_slices((angles, heading[:, None])).batch(BATCH)


class LogCosh(keras.losses.Loss):
    def call(self, y_true, y_pred):
        error = y_pred - tf.cast(y_true, y_pred.dtype)
        return tf.math.log(tf.math.cosh(error))  # at fault


model = keras.Sequential([keras.Input((4,))])
for width in (16, 8):
    model.add(layers.Dense(width, activation="swish"))
model.add(layers.Dense(1))
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=LogCosh())
model.fit(dataset, epochs=2, verbose=2)
