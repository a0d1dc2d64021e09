"""A learning rate at which the loss first climbs by orders of magnitude, then a lower one.

It looks like divergence for some steps, and recovers.
"""
# /// zoo
# stands_for = ["J01"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(11)
x = rng.normal(size=(256, 8)).astype("float32")
y = x @ rng.normal(size=(8, 1)).astype("float32")

rates = keras.optimizers.schedules.PiecewiseConstantDecay([8], [1.6, 0.1])
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(rates), loss="mse")
losses = []
for _ in range(10):
    for start in range(0, 256, 32):
        batch = slice(start, start + 32)
        losses.append(float(model.train_on_batch(x[batch], y[batch])))
print("first", losses[0], "highest", max(losses), "last", losses[-1])
