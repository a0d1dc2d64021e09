"""Counts of photons with a log link, rate = exp(eta). One detector reports its exposure in raw
ticks, and exp leaves the range of float32.
"""

# /// zoo
# cause = "overflow"
# step = 6
# rows = [3]
# fix = "source"
# value = "bounded"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(61)
rng = np.random.default_rng(61)
PIXELS, BATCH = 260, 13
features = rng.uniform(0, 1, (PIXELS, 3)).astype("float32")
photons = rng.poisson(np.exp(features @ np.array([0.5, 0.8, 0.2]))).astype("float32")
features[6 * BATCH + 3, 0] = 250.0

COEFFICIENTS = keras.initializers.Constant(0.5)


class LogLinear(keras.Model):
    def __init__(self):
        super().__init__()
        self.eta = layers.Dense(1, kernel_initializer=COEFFICIENTS)

    def call(self, x):
        return ops.exp(self.eta(x))  # at fault


def poisson_nll(count, rate):
    return rate - count * ops.log(rate)


model = LogLinear()
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=poisson_nll)
model.fit(features, photons[:, None], batch_size=BATCH, epochs=3, shuffle=False, verbose=2)
