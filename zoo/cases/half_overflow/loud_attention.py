"""Attention over audio frames in float16, the scores without a scale. One loud recording takes them
past 65504."""

# /// zoo
# cause = "half-overflow"
# step = 9
# rows = [4]
# fix = "source"
# value = "exact"
# ///
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
        score = ops.einsum("bqd,bkd->bqk", self.q(x), self.k(x))  # at fault
        return ops.einsum("bqk,bkd->bqd", ops.softmax(score, axis=-1), self.v(x))


inputs = keras.Input((6, 16))
h = FrameAttention(32, dtype="float16")(inputs)
h = layers.LayerNormalization(dtype="float32")(h)
out = layers.Dense(1)(layers.Flatten()(h))
model = keras.Model(inputs, out)
model.compile(
    optimizer=keras.optimizers.SGD(0.01), loss=keras.losses.BinaryCrossentropy(from_logits=True)
)
model.fit(audio, kind, batch_size=8, epochs=1, shuffle=False, verbose=0)
