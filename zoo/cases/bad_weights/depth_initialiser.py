"""An initialiser from a blog post that scales by sqrt(fan_in - fan_out). The layer that widens has
NaN weights before the first step.
"""

# /// zoo
# cause = "bad-weights"
# step = 0
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(120)
rng = np.random.default_rng(120)
x = rng.normal(size=(128, 10)).astype("float32")
y = np.sin(x.sum(axis=1, keepdims=True)).astype("float32")


class FanDifference(keras.initializers.Initializer):
    def __init__(self, seed=None):
        self.seed = seed

    def __call__(self, shape, dtype=None):
        fan_in, fan_out = shape
        noise = keras.random.normal(shape, dtype=dtype, seed=self.seed)
        return noise / ops.sqrt(ops.cast(fan_in - fan_out, noise.dtype))


model = keras.Sequential([keras.Input((10,))])
for index, width in enumerate((8, 6, 12)):
    model.add(layers.Dense(width, "tanh", kernel_initializer=FanDifference(seed=index)))
model.add(layers.Dense(1))
model.compile(optimizer="adam", loss="mse")
model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=2)
