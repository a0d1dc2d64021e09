"""An LSTM over sequences whose missing steps hold the value -999; a Masking layer skips them."""

import keras
import numpy as np

MISSING = -999.0

keras.utils.set_random_seed(0)
rng = np.random.default_rng(9)
sequences = rng.normal(size=(72, 12, 3)).astype("float32")
totals = np.zeros((72, 1), dtype="float32")
for row in range(72):
    length = rng.integers(1, 13)
    sequences[row, length:] = MISSING
    totals[row] = sequences[row, :length, 0].sum()
# One patient was never measured at all.
sequences[40], totals[40] = MISSING, 0.0

model = keras.Sequential(
    [
        keras.Input((12, 3)),
        keras.layers.Masking(mask_value=MISSING),
        keras.layers.LSTM(8),
        keras.layers.Dense(1),
    ]
)
model.compile(keras.optimizers.Adam(0.01), "mse")
history = model.fit(sequences, totals, batch_size=12, epochs=2, verbose=0)
print("loss", history.history["loss"][-1])
