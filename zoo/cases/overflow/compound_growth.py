"""Portfolio value by compounding predicted growth rates over 240 months. One start-up with rates
around 100 % a month doubles until float32 ends.
"""

# /// zoo
# cause = "overflow"
# step = 4
# rows = [2]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(63)
rng = np.random.default_rng(63)
FIRMS, MONTHS, BATCH = 90, 240, 9

rates = rng.normal(0.002, 0.02, (FIRMS, MONTHS)).astype("float32")
value = np.log(np.prod(1 + 1.1 * rates, axis=1)).astype("float32")
rates[4 * BATCH + 2] = rng.uniform(0.9, 1.1, MONTHS)


class CompoundedLogValue(keras.layers.Layer):
    def build(self, shape):
        self.leverage = self.add_weight(shape=(), initializer="ones", name="leverage")
        self.fee = self.add_weight(shape=(), initializer="zeros", name="fee")

    def call(self, rates):
        growth = 1.0 + self.leverage * rates - self.fee
        path = ops.cumprod(growth, axis=-1)  # at fault
        return ops.log(path[:, -1:])


inputs = keras.Input((MONTHS,))
outputs = CompoundedLogValue()(inputs)
model = keras.Model(inputs, outputs)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="huber")
model.fit(rates, value[:, None], batch_size=BATCH, epochs=3, shuffle=False, verbose=2)
