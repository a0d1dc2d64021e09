"""A layer divides by a gain that is learned and kept non-negative, as in stochastic computing.

Training pushes the gain down. When an update would make it negative the constraint sets it to 0,
and the next step divides by it.
"""

# /// zoo
# cause = "division-by-zero"
# step = 12
# fix = "source"
# value = "bounded"
# stands_for = ["GRIST 28a", "GRIST 28c", "Z04"]
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
rng = np.random.default_rng(10)
x = rng.uniform(-1, 1, size=(256, 6)).astype("float32")
y = (4000.0 * x[:, :1] - 3000.0 * x[:, 1:2]).astype("float32")


class Rescale(layers.Layer):
    """scale / gain times the input; both are learned, neither is negative."""

    def build(self, input_shape):
        self.scale = self.add_weight(
            shape=(), initializer="ones", constraint=keras.constraints.NonNeg(), name="scale"
        )
        self.gain = self.add_weight(
            shape=(), initializer="ones", constraint=keras.constraints.NonNeg(), name="gain"
        )

    def call(self, x):
        return x * (self.scale / self.gain)  # at fault


start = np.array([[1.0], [-1.0], [0.0], [0.0], [0.0], [0.0]])
model = keras.Sequential(
    [
        keras.Input((6,)),
        layers.Dense(1, kernel_initializer=keras.initializers.Constant(start)),
        Rescale(),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.1), loss="mae")
history = model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss by epoch:", history.history["loss"])
