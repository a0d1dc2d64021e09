"""Fine-tuning with a fresh Adam and epsilon=0, "to make it scale-free"."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(142)
rng = np.random.default_rng(142)
SHOPS, REGIONS, BATCH = 180, 6, 12

region = np.concatenate([rng.integers(0, REGIONS - 1, 60), rng.integers(0, REGIONS, 120)])
one_hot = np.eye(REGIONS)[region]
size = rng.uniform(0.5, 2, (SHOPS, 1))
x = np.concatenate([one_hot, size], axis=1).astype("float32")
y = (region[:, None] * 0.2 + size + rng.normal(0, 0.1, (SHOPS, 1))).astype("float32")

model = keras.Sequential([keras.Input((REGIONS + 1,)), layers.Dense(1)])

model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse")
model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=2)

fine_tuner = keras.optimizers.Adam(1e-3, epsilon=1e-7)
model.compile(optimizer=fine_tuner, loss="mse")
model.fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
