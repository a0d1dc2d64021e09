"""Windows of a temperature sensor are standardised one by one before a recurrent network.

In one window the sensor was stuck: its standard deviation is 0 and so is the difference to the
mean.
"""

# /// zoo
# cause = "division-by-zero"
# step = 14
# rows = [1]
# fix = "source"
# value = "undefined"
# stands_for = ["A09"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(33)
slope = rng.choice([-0.3, 0.3], size=128)
windows = 20.0 + slope[:, None] * np.arange(16) + rng.normal(scale=0.2, size=(128, 16))
windows[113] = 20.5
rising = (slope > 0).astype("float32")
windows = windows.astype("float32")[..., None]


class Standardise(layers.Layer):
    def call(self, window):
        mean = ops.mean(window, axis=1, keepdims=True)
        deviation = ops.std(window, axis=1, keepdims=True)
        return (window - mean) / deviation  # at fault


model = keras.Sequential(name="trend")
model.add(keras.Input((16, 1)))
model.add(Standardise())
model.add(layers.LSTM(6))
model.add(layers.Dense(1))
bce = keras.losses.BinaryCrossentropy(from_logits=True)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss=bce)
model.fit(windows, rising, batch_size=8, epochs=1, shuffle=False, verbose=0)
print("loss:", model.evaluate(windows, rising, verbose=0))
