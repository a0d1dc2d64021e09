"""Mixed precision that starts at far too large a loss scale and halves it, a skipped step each."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(5)
rng = np.random.default_rng(5)
keras.mixed_precision.set_global_policy("mixed_float16")
x = rng.normal(size=(240, 6)).astype("float32")
y = x[:, :1] - 0.5 * x[:, 1:2]

model = keras.Sequential(
    [keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(1, dtype="float32")]
)
optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=2.0**28)
model.compile(optimizer=optimizer, loss="mse")
model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
