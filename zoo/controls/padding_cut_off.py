"""Recordings are padded with NaN to one length; the model only looks at the part that all have.

The batch holds NaN in each row. The slice drops it before anything is computed.
"""

import keras
import numpy as np

SHORTEST = 20

keras.utils.set_random_seed(0)
rng = np.random.default_rng(17)
pitch = rng.uniform(0.2, 1.2, 64)
recordings = np.full((64, 48, 1), np.nan, dtype="float32")
for row in range(64):
    length = rng.integers(SHORTEST, 49)
    recordings[row, :length, 0] = np.sin(pitch[row] * np.arange(length))

inputs = keras.Input((48, 1), name="recording")
x = inputs[:, :SHORTEST]
x = keras.layers.Conv1D(8, 5, activation="relu")(x)
x = keras.layers.GlobalAveragePooling1D()(x)
model = keras.Model(inputs, keras.layers.Dense(1, name="pitch")(x))
model.compile(keras.optimizers.Adam(0.01), "mse")
history = model.fit(recordings, pitch, batch_size=8, epochs=3, verbose=0)
print("loss", history.history["loss"][-1])
