"""Vibration monitoring: an energy feature computed in float16 to save memory."""

# /// zoo
# cause = "half-overflow"
# step = 9
# rows = [7]
# fix = "source"
# value = "exact"
# ///

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(27)
rng = np.random.default_rng(27)
MACHINES, WINDOW, BATCH = 384, 32, 24
trace = rng.normal(scale=10.0, size=(MACHINES, WINDOW)).astype("float32")
broken = rng.integers(0, 2, MACHINES)
trace *= (1.0 + broken)[:, None]
trace[9 * BATCH + 7, 12] = 420.0  # somebody knocked against the sensor


class Energy(layers.Layer):
    def call(self, x):
        squared = x * x  # at fault
        return keras.ops.sqrt(keras.ops.mean(squared, axis=-1, keepdims=True) + 1.0)


inputs = keras.Input((WINDOW,))
energy = Energy(dtype="float16")(inputs)
h = layers.Concatenate()(
    [layers.Lambda(lambda e: keras.ops.cast(e, "float32") / 10.0)(energy), inputs]
)
h = layers.Dense(8, activation="tanh")(h)
model = keras.Model(inputs, layers.Dense(2)(h))
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(trace, broken, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
