"""A classifier with a home-made initialiser."""

# /// zoo
# cause = "bad-weights"
# step = 0
# fix = "source"
# value = "undefined"
# ///

import keras
import numpy as np
from sklearn.datasets import load_digits

keras.utils.set_random_seed(38)
digits = load_digits()
x = (digits.data[:960] / 16.0).astype("float32")
y = digits.target[:960]


class Scaled(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        fan_in, fan_out = shape
        with np.errstate(invalid="ignore"):
            deviation = np.sqrt(2.0 / np.float64(fan_in - fan_out))
        return keras.random.normal(shape, dtype=dtype, seed=1) * float(deviation)


model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(32, activation="relu", kernel_initializer=Scaled()),
        keras.layers.Dense(48, activation="relu", kernel_initializer=Scaled()),
        keras.layers.Dense(10),
    ]
)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(x, y, batch_size=64, epochs=1, shuffle=False, verbose=0)
