"""Counts of detectors are fitted with a Poisson likelihood; detectors that are offline weigh 0.

The reading of an offline detector is a sentinel, 9999. Its rate exp(...) overflows, its loss is
inf, and sample_weight multiplies that by 0, which is NaN.
"""

# /// zoo
# cause = "masked-branch"
# step = 7
# rows = [8]
# fix = "source"
# value = "exact"
# stands_for = ["B07"]
# ///
import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(53)
voltage = rng.uniform(-1, 1, size=(144, 3))
count = rng.poisson(np.exp(1.0 + 0.8 * voltage[:, 0])).astype("float32")
online = np.ones(144, "float32")
voltage[92, 1], online[92] = 9999.0, 0.0
voltage = voltage.astype("float32")


def poisson_deviance(y_true, log_rate):
    y_true = ops.reshape(y_true, (-1,))
    log_rate = ops.reshape(log_rate, (-1,))
    expected = ops.exp(log_rate)  # at fault
    return expected - y_true * log_rate


start = keras.initializers.Constant(0.1)
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer=start)])
model.compile(optimizer=keras.optimizers.SGD(0.005), loss=poisson_deviance)
model.fit(voltage, count, sample_weight=online, batch_size=12, epochs=2, shuffle=False, verbose=0)
print("deviance:", model.evaluate(voltage[:90], count[:90], verbose=0))
