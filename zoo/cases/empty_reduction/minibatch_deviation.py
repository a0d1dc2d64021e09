"""Tells real from forged signatures; a layer appends the spread of the features in the batch.

The spread uses the unbiased variance, a division by n - 1. There are 81 signatures and batches
of 8, so the last batch holds one, and the variance of one value is 0 / 0.
"""
# /// zoo
# cause = "empty-reduction"
# step = 10
# fix = "source"
# value = "undefined"
# stands_for = ["E09"]
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)


@keras.saving.register_keras_serializable()
class MinibatchDeviation(layers.Layer):
    """One more feature: the variance over the batch, averaged over all features."""

    def call(self, features):
        count = ops.cast(ops.shape(features)[0], features.dtype)
        centred = features - ops.mean(features, axis=0)
        variance = ops.sum(ops.square(centred), axis=0) / (count - 1)  # at fault
        spread = ops.sqrt(ops.mean(variance) + 1e-4)
        column = ops.ones_like(features[:, :1]) * spread
        return ops.concatenate([features, column], axis=1)

    def compute_output_shape(self, shape):
        return (shape[0], shape[1] + 1)


rng = np.random.default_rng(8)
forged = rng.integers(0, 2, size=81).astype("float32")
strokes = (rng.normal(size=(81, 14)) + forged[:, None] * 0.8).astype("float32")

inputs = keras.Input((14,))
hidden = layers.Dense(12, activation="leaky_relu")(inputs)
logit = layers.Dense(1)(MinibatchDeviation()(hidden))
critic = keras.Model(inputs, logit)
critic.compile(
    optimizer=keras.optimizers.Adam(2e-3),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
)
history = critic.fit(strokes, forged, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"])
