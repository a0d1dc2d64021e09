"""Averages the word vectors of tweets without the padding, in mixed precision.

The count is guarded with 1e-8, so that an empty tweet would give 0. The layer computes in
float16, in which 1e-8 is 0, and the empty tweet gives 0 / 0.
"""
# /// zoo
# cause = "epsilon-underflow"
# step = 8
# rows = [1]
# fix = "source"
# value = "exact"
# stands_for = ["H11", "E03"]
# ///

import keras
import numpy as np
from keras import layers
from keras import ops as K

keras.utils.set_random_seed(0)
keras.config.set_dtype_policy("mixed_float16")


class MaskedMean(layers.Layer):
    def call(self, vectors, present):
        weight = K.expand_dims(K.cast(present, vectors.dtype), -1)
        total = K.sum(vectors * weight, axis=1)
        count = K.sum(weight, axis=1)
        return total / (count + 1e-8)  # at fault


rng = np.random.default_rng(8)
tweets = rng.integers(1, 50, size=(144, 7))
tweets[np.arange(7) >= rng.integers(1, 8, size=(144, 1))] = 0
tweets[129] = 0  # a picture without words
angry = (tweets == 13).any(axis=1) | (tweets > 45).any(axis=1)

words = keras.Input((7,), dtype="int32")
vectors = layers.Embedding(50, 8)(words)
present = layers.Lambda(lambda ids: K.not_equal(ids, 0), dtype="float32")(words)
tone = layers.Dense(1, dtype="float32")(MaskedMean()(vectors, present))
model = keras.Model(words, tone)
model.compile("rmsprop", loss=keras.losses.BinaryCrossentropy(from_logits=True))
fitted = model.fit(tweets, angry.astype("float32"), batch_size=16, shuffle=False, verbose=0)
print("loss", fitted.history["loss"])
