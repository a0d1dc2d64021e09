"""Churn from monthly spending, normalised by a Box-Cox layer with learned lambda."""

# /// zoo
# cause = "out-of-domain"
# step = 11
# rows = [33]
# fix = "source"
# value = "undefined"
# ///

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(17)
rng = np.random.default_rng(17)
BATCH = 50
spend = rng.lognormal(0.0, 0.7, (900, 4)).astype("float32")
churn = (spend.sum(axis=1) + rng.normal(size=900) < 4.5).astype("float32")
spend[11 * BATCH + 33, 2] = -1.8  # a refund larger than the purchases


class BoxCox(layers.Layer):
    def build(self, shape):
        self.lam = self.add_weight(shape=(shape[-1],), initializer=keras.initializers.Constant(0.4))

    def call(self, x):
        raised = keras.ops.power(x, self.lam)  # at fault
        return (raised - 1.0) / self.lam


model = keras.Sequential()
model.add(keras.Input((4,)))
model.add(BoxCox())
model.add(layers.Dense(12, activation="elu"))
model.add(layers.Dense(1))
model.compile("nadam", keras.losses.BinaryCrossentropy(from_logits=True))
model.fit(spend, churn, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
