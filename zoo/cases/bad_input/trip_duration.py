"""Predicts taxi fares from the distance and the duration of a trip.

Times are unsigned integers. One clock was set back during the trip: end minus start wraps round
to 1.8e19 seconds, and the squares of such numbers overflow.
"""
# /// zoo
# cause = "bad-input"
# step = 7
# rows = [10]
# fix = "data"
# stands_for = ["I02"]
# ///

import keras
import numpy as np


def trips(count):
    rng = np.random.default_rng(11)
    start = rng.integers(1_700_000_000, 1_700_500_000, count).astype("uint64")
    seconds = rng.integers(120, 3600, count)
    end = start + seconds.astype("uint64")
    end[7 * 32 + 10] = start[7 * 32 + 10] - np.uint64(35)
    distance = seconds / 100.0 * rng.uniform(0.7, 1.3, count)
    fare = 3.0 + 0.4 * distance + 0.003 * seconds
    return start, end, distance, fare.astype("float32")


keras.utils.set_random_seed(0)
start, end, distance, fare = trips(320)
duration = (end - start).astype("float32")
features = np.stack([distance / 10.0, duration / 60.0], axis=1).astype("float32")

inputs = keras.Input((2,), name="trip")
hidden = keras.layers.Dense(12, activation="relu", name="hidden")(inputs)
hidden = keras.layers.Dense(12, activation="relu", name="deeper")(hidden)
fares = keras.layers.Dense(1, name="fare")(hidden)
model = keras.Model(inputs, fares)
for layer in model.layers[1:]:
    kernel, bias = layer.get_weights()
    layer.set_weights([abs(kernel), bias])
model.compile(keras.optimizers.Adam(0.02), loss="mean_squared_error")
history = model.fit(features, fare, batch_size=32, epochs=4, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
