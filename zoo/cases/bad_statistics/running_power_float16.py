"""Tracks the power of each channel in a layer that runs in float16, to scale recordings later on.

The tracked sum of squares passes 65504 after some steps and becomes inf. The loss does not use it.
"""
# /// zoo
# cause = "bad-statistics"
# step = 7
# fix = "source"
# value = "exact"
# stands_for = ["G07", "G08"]
# ///

import keras
import numpy as np
from keras import ops as K


class PowerMeter(keras.layers.Layer):
    """Passes its input on and adds up the squares of each channel."""

    def __init__(self, **options):
        super().__init__(dtype="float16", **options)

    def build(self, shape):
        self.total = self.add_weight(
            name="total", shape=(shape[-1],), initializer="zeros", trainable=False
        )
        self.count = self.add_weight(name="count", shape=(), initializer="zeros", trainable=False)

    def call(self, recording, training=False):
        if training:
            power = K.mean(K.square(recording), axis=(0, 1))
            self.total.assign(self.total + power)  # at fault
            self.count.assign(self.count + 1)
        return recording * K.cast(0.01, recording.dtype)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
labels = rng.integers(0, 2, 120)
recordings = 80.0 * np.sin(np.arange(32)[:, None] * (0.3 + 0.2 * labels[:, None, None]))
recordings = np.repeat(recordings, 2, axis=2) * [1.0, 1.65]

inputs = keras.Input((32, 2), dtype="float32", name="recording")
x = PowerMeter(name="meter")(inputs)
x = keras.layers.Conv1D(6, 7, activation="relu")(x)
x = keras.layers.GlobalMaxPooling1D()(x)
outputs = keras.layers.Dense(2, activation="softmax", dtype="float32")(x)
model = keras.Model(inputs, outputs)
model.compile("adam", "sparse_categorical_crossentropy")
history = model.fit(
    recordings.astype("float32"), labels, batch_size=8, epochs=1, shuffle=False, verbose=0
)
total, count = model.get_layer("meter").get_weights()
print("loss", history.history["loss"][-1], "power", total / count)
