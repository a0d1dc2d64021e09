"""An initialiser with a correction by fan_in - 1, for a layer with a single input."""

# /// zoo
# cause = "bad-weights"
# step = 0
# fix = "source"
# value = "bounded"
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(77)
rng = np.random.default_rng(77)


class Corrected(keras.initializers.Initializer):
    def __init__(self, seed):
        self.seed = seed

    def __call__(self, shape, dtype=None):
        with np.errstate(divide="ignore"):
            std = np.sqrt(np.float64(2.0) / (shape[0] - 1))  # at fault
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
