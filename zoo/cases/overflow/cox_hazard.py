"""Survival after surgery: Cox partial likelihood over the risk set of the batch."""

# /// zoo
# cause = "overflow"
# step = 11
# rows = [14]
# fix = "source"
# value = "exact"
# ///

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(26)
rng = np.random.default_rng(26)
BATCH = 32
covariates = rng.normal(size=(480, 5)).astype("float32")
time = rng.exponential(np.exp(-covariates[:, 0]))
dead = (rng.random(480) < 0.7).astype("float32")
for start in range(0, 480, BATCH):  # longest survival first
    order = start + np.argsort(-time[start : start + BATCH])
    for column in (covariates, time, dead):
        column[start : start + BATCH] = column[order]
covariates[11 * BATCH + 14, 1] = -2500.0  # a sentinel of the old registry


class CoxLoss(keras.losses.Loss):
    def __init__(self):
        super().__init__(reduction="sum")

    def call(self, event, risk):
        event = ops.reshape(event, (-1,))
        risk = ops.reshape(risk, (-1,))
        hazard = ops.exp(risk)  # at fault
        at_risk = ops.cumsum(hazard)
        per_event = ops.log(at_risk) - risk
        return ops.sum(per_event * event) / (ops.sum(event) + 1.0)


net = keras.Sequential(
    [
        keras.Input((5,)),
        keras.layers.Dense(8, "relu"),
        keras.layers.Dense(1, kernel_initializer="ones"),
    ]
)
net.compile(optimizer="rmsprop", loss=CoxLoss())
net.fit(covariates, dead, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
