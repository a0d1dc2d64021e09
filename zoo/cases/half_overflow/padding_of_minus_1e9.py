"""Weighs the sentences of a review by attention; padding is filled with -1e9.

-1e9 is beyond float16 and becomes -inf there. For a review without any sentence left after
cleaning, the whole row is -inf and its softmax NaN. In float32 the same row would be uniform.
"""
# /// zoo
# cause = "half-overflow"
# step = 7
# rows = [4]
# fix = "source"
# value = "exact"
# stands_for = ["Z01", "F02"]
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
keras.config.set_dtype_policy("mixed_float16")
SENTENCES, WIDTH = 5, 12


class AttentionPooling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scorer = layers.Dense(1)

    def call(self, inputs):
        sentences, present = inputs
        scores = ops.squeeze(self.scorer(sentences), -1)
        scores = ops.where(present > 0, scores, ops.cast(-1e9, scores.dtype))  # at fault
        weights = ops.softmax(scores)
        return ops.sum(weights[..., None] * sentences, axis=1)


rng = np.random.default_rng(7)
reviews = rng.normal(size=(120, SENTENCES, WIDTH)).astype("float32")
length = rng.integers(1, SENTENCES + 1, size=120)
length[60] = 0
present = (np.arange(SENTENCES) < length[:, None]).astype("float32")
positive = (reviews[:, 0, 0] > 0).astype("float32")

sentences_in, present_in = keras.Input((SENTENCES, WIDTH)), keras.Input((SENTENCES,))
pooled = AttentionPooling()([sentences_in, present_in])
score = layers.Dense(1, dtype="float32")(pooled)
model = keras.Model([sentences_in, present_in], score)
model.compile(optimizer="adam", loss=keras.losses.BinaryCrossentropy(from_logits=True))
result = model.fit([reviews, present], positive, batch_size=8, epochs=1, shuffle=False, verbose=0)
print("loss", result.history["loss"][-1])
