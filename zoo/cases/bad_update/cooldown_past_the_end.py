"""Forecasts a series with a learning rate that cools down as sqrt(1 - step / total).

The series has grown since the number of steps was written down. Past the total, the square root is
of a negative number: the rate is NaN and the loss of that step is still fine.
"""
# /// zoo
# cause = "bad-update"
# step = {jax = 40, tensorflow = 41, torch = 41}
# fix = "source"
# value = "undefined"
# stands_for = ["K08"]
# ///

import keras
import numpy as np
from keras import ops


class Cooldown(keras.optimizers.schedules.LearningRateSchedule):
    """From `start` down to 0 in `total` steps."""

    def __init__(self, start, total):
        self.start, self.total = start, total

    def __call__(self, step):
        progress = ops.cast(step, "float32") / self.total
        return self.start * ops.sqrt(1.0 - progress)  # at fault

    def get_config(self):
        return {"start": self.start, "total": self.total}


keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
series = np.sin(np.arange(360) / 5.0) + 0.1 * rng.normal(size=360)
windows = np.lib.stride_tricks.sliding_window_view(series, 9).astype("float32")
past, future = windows[:, :8, None], windows[:, 8]

model = keras.Sequential([keras.Input((8, 1)), keras.layers.SimpleRNN(6), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(Cooldown(1e-2, total=40)), loss="mse")
history = model.fit(past, future, batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
