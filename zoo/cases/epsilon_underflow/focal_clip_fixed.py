"""Rare-event detector with a hand-written focal loss; probabilities are clipped first."""

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(30)
rng = np.random.default_rng(30)
BATCH, GAMMA, ALPHA = 64, 2.0, 0.8
TINY = 1e-8
x = rng.normal(size=(1280, 6)).astype("float32")
rare = (x[:, 0] + x[:, 1] > 2.0).astype("float32")
extreme = 7 * BATCH + 40
x[extreme, :2] = 80.0
rare[extreme] = 1.0


def focal(y_true, p):
    q = ops.clip(1.0 - p, TINY, 1.0)
    p = ops.clip(p, TINY, 1.0)
    hit = ALPHA * y_true * q**GAMMA * ops.log(p)
    miss = (1.0 - ALPHA) * (1.0 - y_true) * p**GAMMA * ops.log(q)
    return -ops.mean(hit + miss, axis=-1)


model = keras.Sequential(
    [keras.Input((6,)), keras.layers.Dense(1, "sigmoid", kernel_initializer="ones")]
)
model.compile(keras.optimizers.SGD(0.1), loss=focal)
model.fit(x, rare[:, None], batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
