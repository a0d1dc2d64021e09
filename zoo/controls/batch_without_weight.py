"""Samples of one source are switched off by a weight of 0; some batches hold nothing else.

Keras divides by the number of samples, not by the sum of the weights: such a loss is 0.
"""
# /// zoo
# stands_for = ["E03"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(26)
x = rng.normal(size=(96, 4)).astype("float32")
y = (x[:, 0] - x[:, 3])[:, None]
source = np.repeat(["lab", "field", "lab", "lab"], 24)
weights = np.where(source == "field", 0.0, 1.0).astype("float32")

model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "elu"), keras.layers.Dense(1)])
model.compile("adam", "mae", weighted_metrics=["mse"])
history = model.fit(x, y, sample_weight=weights, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
