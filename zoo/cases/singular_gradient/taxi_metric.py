"""Trip durations from a learned anisotropic distance. One ride ended where it began: the distance
is 0, and the square root has no slope there for the scale to receive.
"""

# /// zoo
# cause = "singular-gradient"
# step = 7
# rows = [11]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(3)
rng = np.random.default_rng(3)

NUM_TRIPS = 320
BATCH = 16
pickup = rng.uniform(-1, 1, (NUM_TRIPS, 2)).astype("float32")
dropoff = (pickup + rng.normal(0, 0.5, (NUM_TRIPS, 2)).clip(-2, 2) + 0.01).astype("float32")
dropoff[123] = pickup[123]  # the passenger forgot something and came back
manhattan = np.abs((pickup - dropoff) @ np.array([[1.0, 0.3], [-0.3, 1.2]]))
minutes = (4 + 9 * manhattan.sum(axis=1)).astype("float32")


class StretchedDistance(layers.Layer):
    """Distance after stretching north-south and east-west by learned factors."""

    def build(self, input_shape):
        self.stretch = self.add_weight(shape=(2,), initializer="ones", name="stretch")

    def call(self, start, end):
        gap = (end - start) * self.stretch
        squared = ops.sum(ops.square(gap), axis=-1, keepdims=True)
        return ops.sqrt(squared)  # at fault


a = keras.Input((2,), name="pickup")
b = keras.Input((2,), name="dropoff")
distance = StretchedDistance()(a, b)
features = layers.Concatenate()([distance, a, b])
hidden = layers.Dense(16, activation="tanh")(features)
model = keras.Model([a, b], layers.Dense(1)(layers.Concatenate()([distance, hidden])))
model.compile(optimizer=keras.optimizers.Adam(5e-3), loss="mae")
model.fit([pickup, dropoff], minutes, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
