"""A Gaussian with a predicted scale; the softplus was typed from its formula, log(1 + exp(x)). Two
readings before calibration give x > 89.
"""

# /// zoo
# cause = "overflow"
# step = 10
# rows = [7, 8]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(62)
rng = np.random.default_rng(62)
READINGS, BATCH = 240, 12

x = rng.uniform(0, 2, (READINGS, 2)).astype("float32")
y = (x[:, 0] + rng.normal(0, 0.1 + 0.2 * x[:, 1])).astype("float32")
x[127:129, 1] = (140.0, 155.0)


def softplus(z):
    return ops.log(1.0 + ops.exp(z))  # at fault


def gaussian_nll(y_true, parameters):
    mu = parameters[:, 0]
    sigma = softplus(parameters[:, 1]) + 1e-3
    residual = (y_true[:, 0] - mu) / sigma
    return 0.5 * ops.square(residual) + ops.log(sigma)


start = np.array([[0.8, 0.0], [0.1, 1.0]], "float32")
head = layers.Dense(2)
model = keras.Sequential([keras.Input((2,)), head])
head.set_weights([start, np.array([0.0, -1.0], "float32")])
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=gaussian_nll)
model.fit(x, y[:, None], batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
