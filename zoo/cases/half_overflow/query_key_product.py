"""Single-head attention whose scores are computed in half precision."""

# /// zoo
# cause = "half-overflow"
# step = 6
# rows = [10]
# fix = "source"
# value = "exact"
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(28)
rng = np.random.default_rng(28)
N, T, D, BATCH = 240, 6, 32, 12
x = rng.normal(size=(N, T, D)).astype("float32")
y = x[:, :, 0].mean(axis=1)
x[6 * BATCH + 10] *= 90.0  # one session was logged without normalisation


class HalfAttention(layers.Layer):
    def build(self, shape):
        self.wq = self.add_weight(shape=(shape[-1], 32), initializer="orthogonal", name="wq")
        self.wk = self.add_weight(shape=(shape[-1], 32), initializer="orthogonal", name="wk")

    def call(self, x):
        q = ops.cast(ops.matmul(x, self.wq), "float16")
        k = ops.cast(ops.matmul(x, self.wk), "float16")
        centred = q - ops.mean(q, axis=1, keepdims=True)
        scores = ops.sum(centred[:, :, None, :] * k[:, None, :, :] * 4.0, axis=-1)  # at fault
        weights = ops.softmax(ops.cast(scores, "float32") * 0.01, axis=-1)
        return ops.matmul(weights, x)


inputs = keras.Input((T, D))
h = HalfAttention()(inputs)
h = layers.LayerNormalization()(h)
h = layers.GlobalAveragePooling1D()(h)
model = keras.Model(inputs, layers.Dense(1)(h))
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mae")
model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
