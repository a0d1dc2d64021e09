"""A layer of radial basis functions: exp(-distance^2) of a far sample is exactly 0.

Nothing divides by it or takes its logarithm.
"""

import keras
import numpy as np
from keras import ops as K


class RadialBasis(keras.layers.Layer):
    def __init__(self, centres, width):
        super().__init__()
        self.num_centres, self.width = centres, width

    def build(self, input_shape):
        self.centres = self.add_weight(
            shape=(self.num_centres, input_shape[-1]), initializer="random_normal", name="centres"
        )

    def call(self, x):
        difference = x[:, None, :] - self.centres[None]
        return K.exp(-K.sum(difference**2, axis=-1) / self.width**2)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(24)
x = rng.normal(size=(128, 2)).astype("float32")
x[::16] *= 100.0
y = (np.linalg.norm(x, axis=1) < 1.0).astype("float32")
model = keras.Sequential([keras.Input((2,)), RadialBasis(10, 0.5), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.02), keras.losses.BinaryCrossentropy(from_logits=True))
history = model.fit(x, y, batch_size=16, epochs=3, verbose=0)
print("loss", history.history["loss"][-1])
