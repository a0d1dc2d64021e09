"""Before fine-tuning with frozen BatchNormalization, the known noise of the sensors is taken off
its variances. In a quiet channel more is taken off than there is.
"""

# /// zoo
# cause = "bad-statistics"
# step = 16
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(130)
rng = np.random.default_rng(130)
N, BATCH = 256, 16
SENSOR_NOISE = np.array([0.3, 0.3, 0.4])  # from the data sheet, standard deviations

signal = rng.normal(0, [1.0, 0.15, 2.0], (N, 3))
x = signal.astype("float32")
y = (signal @ np.array([0.5, 1.0, -0.3]))[:, None].astype("float32")

norm = layers.BatchNormalization(momentum=0.8, name="input_norm")  # at fault
model = keras.Sequential([keras.Input((3,)), norm, layers.Dense(8, "relu"), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=2)


def without_noise(layer, noise):
    gamma, beta, mean, variance = layer.get_weights()
    layer.set_weights([gamma, beta, mean, variance - noise**2])


without_noise(norm, SENSOR_NOISE)
norm.trainable = False
model.compile(optimizer=keras.optimizers.Adam(1e-4), loss="mse")
model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=2)
