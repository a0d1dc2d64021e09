"""A square root for positive and a logarithm for negative values, each branch with a safe number
where it is not taken, and a norm that is 0 for one sample."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(2)
rng = np.random.default_rng(2)
x = rng.normal(size=(160, 3)).astype("float32")
x[40] = 0.0
y = np.abs(x[:, :1])


def signed_root(v):
    up = ops.where(v > 0, v, 1.0)
    down = ops.where(v < 0, -v, 1.0)
    return ops.where(v > 0, ops.sqrt(up), ops.where(v < 0, -ops.log(down) - 1.0, 0.0))


def safe_norm(v):
    sq = ops.sum(v * v, axis=-1, keepdims=True)
    zero = ops.equal(sq, 0.0)
    return ops.where(zero, 0.0, ops.sqrt(ops.where(zero, 1.0, sq)))


inputs = keras.Input((3,))
h = layers.Dense(6, use_bias=False)(inputs)
out = layers.Dense(1)(ops.concatenate([signed_root(h), safe_norm(h)], axis=-1))
model = keras.Model(inputs, out)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mae")
model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
