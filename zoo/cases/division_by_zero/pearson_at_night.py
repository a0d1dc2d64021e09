"""Solar power with a correlation as the loss. At night a whole batch is 0 and has no deviation."""

# /// zoo
# cause = "division-by-zero"
# step = 19
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(33)
rng = np.random.default_rng(33)

hours = np.arange(20 * 24)
height = (
    0.6 * np.sin(hours / 24 * 2 * np.pi) + 0.7 - 0.08 * (hours // 24)
)  # autumn in the far north
sun = np.maximum(0, height)
sky = rng.uniform(0.4, 1.0, hours.size)
x = np.stack([np.sin(hours / 24 * 2 * np.pi), np.cos(hours / 24 * 2 * np.pi), sky], axis=1).astype(
    "float32"
)
y = (sun * sky).astype("float32")[:, None]


def one_minus_r(y_true, y_pred):
    a = y_true - ops.mean(y_true)
    b = y_pred - ops.mean(y_pred)
    r = ops.sum(a * b) / ops.sqrt(ops.sum(a**2) * ops.sum(b**2))  # at fault
    return 1.0 - r


model = keras.Sequential([keras.Input((3,)), layers.Dense(16, activation="silu"), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(3e-3), loss=one_minus_r)
model.fit(x, y, batch_size=12, epochs=2, shuffle=False, verbose=0)
