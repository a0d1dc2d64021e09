"""Mixed precision: the first steps overflow in float16 and are skipped while the scale is found."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(202)
keras.config.set_dtype_policy("mixed_float16")
rng = np.random.default_rng(202)
x = rng.normal(size=(256, 8)).astype("float32")
y = (30 * x[:, :1] + 5 * x[:, 1:2]).astype("float32")

model = keras.Sequential(
    [
        keras.Input((8,)),
        layers.Dense(16, activation="relu"),
        layers.Dense(1, dtype="float32"),
    ]
)
inner = keras.optimizers.Adam(1e-2)
optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**24)
model.compile(optimizer=optimizer, loss="mse")
model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=2)
print("scale", float(keras.ops.convert_to_numpy(optimizer.dynamic_scale)))
