"""Recompute the batch norm statistics on all data, freeze them and fine-tune."""

# /// zoo
# cause = "bad-statistics"
# step = 14
# fix = "source"
# value = "undefined"
# ///

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(41)
rng = np.random.default_rng(41)
BATCH = 48
x = rng.normal(size=(320, 6)).astype("float32")
x[:, 3] = 36.7 + 0.5 * x[:, 3]  # body temperature
y = x[:, :1] - x[:, 1:2]

norm = layers.BatchNormalization()  # at fault
model = keras.Sequential(
    [keras.Input((6,)), norm, layers.Dense(12, activation="relu"), layers.Dense(1)]
)
model.compile(keras.optimizers.Adam(1e-3), "mse")
model.fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0)

seen = 0
total, squares = np.zeros(6), np.zeros(6)
for start in range(0, len(x), BATCH):
    part = x[start : start + BATCH].astype("float64")
    total += part.mean(axis=0) * len(part)
    squares += np.sum(part**2, axis=0)
    seen += BATCH
mean = total / len(x)
variance = squares / seen - mean**2
norm.moving_mean.assign(mean)
norm.moving_variance.assign(variance)
norm.trainable = False

model.compile(keras.optimizers.Adam(1e-4), "mse")
model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
