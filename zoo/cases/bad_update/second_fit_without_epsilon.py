"""A second stage with Adam and epsilon 0. A category that the first batch lacks has a gradient of
0, and 0 / 0 is its update."""

# /// zoo
# cause = "bad-update"
# step = 25
# fix = "setting"
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(83)
rng = np.random.default_rng(83)

kind = np.sort(rng.integers(0, 5, 200))
x = np.hstack([keras.utils.to_categorical(kind, 5), rng.normal(size=(200, 3))]).astype("float32")
y = (kind[:, None] * 0.2 + 0.1 * x[:, 5:6]).astype("float32")

model = keras.Sequential([keras.Input((8,)), layers.Dense(12, activation="tanh"), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse")
model.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)

stage_two = dict(learning_rate=1e-3, beta_2=0.99)
model.compile(optimizer=keras.optimizers.Adam(epsilon=0.0, **stage_two), loss="mse")  # at fault
model.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)
