"""Attention with a causal window of -inf; every query sees at least itself."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(3)
rng = np.random.default_rng(3)
T, WINDOW = 10, 3
i = np.arange(T)
BIAS = np.where(
    (i[None, :] <= i[:, None]) & (i[:, None] - i[None, :] < WINDOW), 0.0, -np.inf
).astype("float32")


class WindowAttention(layers.Layer):
    def build(self, shape):
        d = shape[-1]
        self.w = [self.add_weight(shape=(d, d), name=n) for n in "qkv"]

    def call(self, x):
        q, k, v = (ops.matmul(x, w) for w in self.w)
        score = ops.matmul(q, ops.transpose(k, (0, 2, 1))) / x.shape[
            -1
        ] ** 0.5 + ops.convert_to_tensor(BIAS)
        return ops.matmul(ops.softmax(score, axis=-1), v)


x = rng.normal(size=(128, T, 4)).astype("float32")
y = np.cumsum(x[:, :, :1], axis=1).astype("float32")
inputs = keras.Input((T, 4))
model = keras.Model(inputs, layers.Dense(1)(inputs + WindowAttention()(inputs)))
model.compile(optimizer="adam", loss="mse")
model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
