"""A transformer block over padded sentences; one sentence is nothing but padding.

Keras adds a large negative number to masked scores, not -inf, so a row without a word is uniform.
"""
# /// zoo
# stands_for = ["F01"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(8)
words = rng.integers(1, 30, (80, 10)).astype("int32")
lengths = rng.integers(2, 11, 80)
words[np.arange(10) >= lengths[:, None]] = 0
words[33] = 0
labels = (words > 15).sum(axis=1) > lengths / 2

inputs = keras.Input((10,), dtype="int32", name="words")
x = keras.layers.Embedding(30, 12, mask_zero=True)(inputs)
attended = keras.layers.MultiHeadAttention(num_heads=3, key_dim=4)(x, x)
x = keras.layers.LayerNormalization()(keras.layers.Add()([x, attended]))
model = keras.Model(inputs, keras.layers.Dense(1)(x[:, 0]))
model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
history = model.fit(words, labels.astype("float32"), batch_size=16, epochs=2, verbose=0)
print("loss", history.history["loss"][-1])
