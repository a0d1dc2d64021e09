"""mixed_float16 with a loss scale that starts too high: the first steps are skipped."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(56)
rng = np.random.default_rng(56)
x = rng.normal(size=(512, 10)).astype("float32")
y = (30.0 * x[:, :1] + rng.normal(size=(512, 1))).astype("float32")
inputs = keras.Input((10,))
h = layers.Dense(32, activation="relu", dtype="mixed_float16")(inputs)
h = layers.Dense(16, activation="relu", dtype="mixed_float16")(h)
model = keras.Model(inputs, layers.Dense(1, dtype="float32")(h))
optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-2), initial_scale=2.0**20)
model.compile(optimizer, "mse")
model.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0)
print("scale", float(keras.ops.convert_to_numpy(optimizer.dynamic_scale)))
