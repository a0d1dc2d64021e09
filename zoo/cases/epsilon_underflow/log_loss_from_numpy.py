"""Predicts defaults on loans with a log loss carried over from a NumPy script.

The script clipped to [eps, 1 - eps] with the epsilon of float64, 2.2e-16. In float32 1 - eps is
1, so nothing is clipped there, and a probability of 1 makes log(1 - p) infinite.
"""
# /// zoo
# cause = "epsilon-underflow"
# step = 17
# rows = [9]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 35a", "D01"]
# ///

import sys

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
EPS = sys.float_info.epsilon


def log_loss(y_true, y_pred):
    p = ops.clip(y_pred, EPS, 1 - EPS)
    losses = -(y_true * ops.log(p) + (1 - y_true) * ops.log(1 - p))  # at fault
    return ops.mean(losses, axis=-1)


rng = np.random.default_rng(5)
debt = rng.lognormal(0, 0.5, size=320)
income = rng.lognormal(0.5, 0.3, size=320)
defaulted = (debt / income + rng.normal(0, 0.3, size=320) > 1).astype("float32")
debt[281], defaulted[281] = 350.0, 0.0  # a developer with a guarantee
loans = np.stack([debt, income], axis=1).astype("float32")

model = keras.Sequential(
    [keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid", kernel_initializer="zeros")]
)
model.compile(optimizer=keras.optimizers.SGD(0.5), loss=log_loss, metrics=["accuracy"])
history = model.fit(loans, defaulted[:, None], batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1], "accuracy", history.history["accuracy"][-1])
