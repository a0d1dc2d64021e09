"""Claim counts with the Poisson deviance; policies without claims get the short form."""

# /// zoo
# cause = "masked-branch"
# step = 4
# rows = [8, 31]
# fix = "source"
# value = "exact"
# ///

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(21)
rng = np.random.default_rng(21)
B = 40
age = rng.uniform(-1, 1, (480, 6)).astype("float32")
rate = np.exp(1.6 + 0.3 * age[:, 0])
claims = np.maximum(rng.poisson(rate), 1)
claims[4 * B + 8] = 0
claims[4 * B + 31] = 0
claims = claims.astype("float32")[:, None]


class PoissonDeviance(keras.losses.Loss):
    def call(self, y_true, y_pred):
        ratio = y_true / y_pred
        excess = y_true * ops.log(ratio)  # at fault
        excess = ops.where(ops.equal(y_true, 0.0), ops.zeros_like(excess), excess)
        return 2.0 * ops.mean(excess - (y_true - y_pred), axis=-1)


model = keras.Sequential(
    [
        keras.Input((6,)),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(1, activation=ops.exp),
    ]
)
model.compile(optimizer=keras.optimizers.SGD(0.01, momentum=0.9), loss=PoissonDeviance())
model.fit(age, claims, batch_size=B, epochs=2, shuffle=False, verbose=0)
