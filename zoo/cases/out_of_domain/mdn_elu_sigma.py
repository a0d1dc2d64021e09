"""A mixture density network whose deviations come from elu, without the 1 that keeps them above
0."""

# /// zoo
# cause = "out-of-domain"
# step = 12
# rows = [4]
# fix = "source"
# value = "undefined"
# ///
import math

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(23)
rng = np.random.default_rng(23)
K = 3
LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)

x = rng.uniform(-1, 1, (192, 1)).astype("float32")
y = (np.where(rng.random((192, 1)) < 0.5, x, -x) + 0.1 * rng.normal(size=(192, 1))).astype(
    "float32"
)
x[100] = -9.0


def mixture_nll(y, params):
    logit, mu, sigma = ops.split(params, 3, axis=-1)
    component = (
        -0.5 * ops.square((y - mu) / sigma)
        - ops.log(sigma)  # at fault
        - LOG_ROOT_TWO_PI
    )
    return -ops.logsumexp(ops.log_softmax(logit, axis=-1) + component, axis=-1)


inputs = keras.Input((1,))
h = layers.Dense(16, activation="tanh")(inputs)
logit = layers.Dense(K)(h)
mu = layers.Dense(K)(h)
start = keras.initializers.Constant(0.2)
sigma = layers.Dense(K, activation="elu", bias_initializer="ones", kernel_initializer=start)(inputs)
model = keras.Model(inputs, ops.concatenate([logit, mu, sigma], axis=-1))
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=mixture_nll)
model.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)
