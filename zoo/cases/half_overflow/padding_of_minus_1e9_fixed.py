"""The same pooling; padding is filled with -3e4, which float16 can hold."""

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
        scores = ops.where(present > 0, scores, ops.cast(-3e4, scores.dtype))
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
