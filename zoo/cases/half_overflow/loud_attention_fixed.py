"""Attention over audio frames, the scores in float32."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(51)
rng = np.random.default_rng(51)

audio = rng.normal(size=(128, 6, 16)).astype("float32")
kind = rng.integers(0, 2, (128, 1)).astype("float32")
audio[76] *= 120.0


class FrameAttention(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.q = layers.Dense(units, use_bias=False, dtype=self.dtype_policy)
        self.k = layers.Dense(units, use_bias=False, dtype=self.dtype_policy)
        self.v = layers.Dense(units, dtype=self.dtype_policy)

    def call(self, x):
        q, k = ops.cast(self.q(x), "float32"), ops.cast(self.k(x), "float32")
        score = ops.einsum("bqd,bkd->bqk", q, k)
        return ops.einsum(
            "bqk,bkd->bqd", ops.cast(ops.softmax(score, axis=-1), self.compute_dtype), self.v(x)
        )


inputs = keras.Input((6, 16))
h = FrameAttention(32, dtype="float16")(inputs)
h = layers.LayerNormalization(dtype="float32")(h)
out = layers.Dense(1)(layers.Flatten()(h))
model = keras.Model(inputs, out)
model.compile(
    optimizer=keras.optimizers.SGD(0.01), loss=keras.losses.BinaryCrossentropy(from_logits=True)
)
model.fit(audio, kind, batch_size=8, epochs=1, shuffle=False, verbose=0)
