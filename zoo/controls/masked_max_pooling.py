"""Takes the maximum over the points of a cloud; places without a point are -inf for that.

Each cloud has a point, so no maximum is -inf.
"""

import keras
import numpy as np
from keras import ops


class MaskedMax(keras.layers.Layer):
    def call(self, points, present):
        hidden = ops.where(present[..., None], points, float("-inf"))
        return ops.max(hidden, axis=1)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(25)
clouds = rng.normal(size=(90, 11, 3)).astype("float32")
present = np.arange(11) < rng.integers(1, 12, (90, 1))
widest = np.where(present, clouds[..., 0], -9.0).max(axis=1)

cloud = keras.Input((11, 3), name="cloud")
mask = keras.Input((11,), dtype="bool", name="present")
x = keras.layers.Dense(16, activation="relu")(cloud)
x = MaskedMax()(keras.layers.Dense(8)(x), mask)
model = keras.Model([cloud, mask], keras.layers.Dense(1)(x))
model.compile(keras.optimizers.Adam(5e-3), "mse")
history = model.fit([clouds, present], widest, batch_size=15, epochs=3, verbose=0)
print("loss", history.history["loss"][-1])
