"""A log spectrogram with a floor: the log of silence is -inf, the maximum makes -10 of it, and
nobody asks for its gradient."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(10)
rng = np.random.default_rng(10)
power = rng.exponential(size=(160, 8, 6)).astype("float32")
power[60] = 0.0
power[:, 0] = 0.0
y = (power.mean(axis=(1, 2)) > 0.85).astype("float32")[:, None]

inputs = keras.Input((8, 6))
log_power = ops.maximum(ops.log(inputs), -10.0)
h = layers.Conv1D(4, 3, activation="relu")(log_power)
out = layers.Dense(1, activation="sigmoid")(layers.GlobalMaxPooling1D()(h))
model = keras.Model(inputs, out)
model.compile(optimizer="adam", loss="binary_crossentropy")
model.fit(power, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
