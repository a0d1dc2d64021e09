"""An initialiser with the usual fan_in, for a layer with a single input."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(77)
rng = np.random.default_rng(77)


class Corrected(keras.initializers.Initializer):
    def __init__(self, seed):
        self.seed = seed

    def __call__(self, shape, dtype=None):
        std = np.sqrt(2.0 / shape[0])
        return keras.random.normal(shape, stddev=1.0, dtype=dtype, seed=self.seed) * float(std)


t = np.linspace(-1, 1, 160, dtype="float32")[:, None]
x = rng.permutation(t)
y = np.sin(3 * x)

model = keras.Sequential([keras.Input((1,))])
for i, units in enumerate((16, 16)):
    model.add(layers.Dense(units, activation="relu", kernel_initializer=Corrected(i)))
model.add(layers.Dense(1))
model.compile(optimizer="adam", loss="mse")
model.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)
