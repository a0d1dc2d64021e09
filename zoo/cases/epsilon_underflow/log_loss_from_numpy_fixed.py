"""The same log loss on logits, as 1 - p is the sigmoid of -logit."""

import sys

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
EPS = sys.float_info.epsilon


def log_loss(y_true, logits):
    p = ops.clip(ops.sigmoid(logits), EPS, 1.0)
    q = ops.clip(ops.sigmoid(-logits), EPS, 1.0)
    losses = -(y_true * ops.log(p) + (1 - y_true) * ops.log(q))
    return ops.mean(losses, axis=-1)


rng = np.random.default_rng(5)
debt = rng.lognormal(0, 0.5, size=320)
income = rng.lognormal(0.5, 0.3, size=320)
defaulted = (debt / income + rng.normal(0, 0.3, size=320) > 1).astype("float32")
debt[281], defaulted[281] = 350.0, 0.0  # a developer with a guarantee
loans = np.stack([debt, income], axis=1).astype("float32")

model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="zeros")])
accuracy = keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)
model.compile(optimizer=keras.optimizers.SGD(0.5), loss=log_loss, metrics=[accuracy])
history = model.fit(loans, defaulted[:, None], batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1], "accuracy", history.history["accuracy"][-1])
