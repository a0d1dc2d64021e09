"""Self-attention with one projection for queries and keys, in float16 and without the 1/sqrt(d).
One sequence with large (finite) readings makes q.k exceed 65504.
"""

# /// zoo
# cause = "half-overflow"
# step = 5
# rows = [3]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(70)
keras.config.set_dtype_policy("mixed_float16")
rng = np.random.default_rng(70)
SEQUENCES, TIME, DIM, BATCH = 96, 5, 8, 8
x = rng.normal(size=(SEQUENCES, TIME, DIM)).astype("float32")
y = np.abs(x).max(axis=(1, 2)).astype("float32")
x[5 * BATCH + 3] *= 500.0  # volts, not kilovolts


class TiedSelfAttention(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.to_qk = layers.Dense(units, kernel_initializer="orthogonal", use_bias=False)
        self.to_v = layers.Dense(units)

    def build(self, shape):
        self.to_qk.build(shape)
        self.to_v.build(shape)

    def call(self, x):
        qk = self.to_qk(x)
        scores = ops.einsum("bqd,bkd->bqk", qk, qk)  # at fault
        return ops.matmul(ops.softmax(scores, axis=-1), self.to_v(x))


inputs = keras.Input((TIME, DIM))
h = TiedSelfAttention(DIM)(inputs)
h = layers.GlobalMaxPooling1D()(h)
outputs = layers.Dense(1, dtype="float32")(h)
model = keras.Model(inputs, outputs)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mae", auto_scale_loss=False)
model.fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
