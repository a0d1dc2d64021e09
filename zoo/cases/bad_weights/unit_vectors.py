"""Pretrained word vectors, scaled to unit length before they go into the embedding. The vector of
the padding token is zero, and 0 / 0 is in the table from the start.
"""

# /// zoo
# cause = "bad-weights"
# step = 0
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(121)
rng = np.random.default_rng(121)
VOCAB, DIM, LENGTH = 40, 8, 7

vectors = rng.normal(size=(VOCAB, DIM)).astype("float32")
vectors[0] = 0.0  # <pad>
with np.errstate(invalid="ignore"):
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

lengths = rng.integers(3, LENGTH, 120)
tokens = rng.integers(1, VOCAB, (120, LENGTH))
tokens[np.arange(LENGTH)[None, :] >= lengths[:, None]] = 0
polarity = (tokens[:, 0] > VOCAB // 2).astype("float32")[:, None]

inputs = keras.Input((LENGTH,), dtype="int32")
x = layers.Embedding(VOCAB, DIM, weights=[vectors])(inputs)
x = layers.GlobalAveragePooling1D()(x)
outputs = layers.Dense(1)(x)
model = keras.Model(inputs, outputs)
model.compile(
    optimizer=keras.optimizers.Adam(1e-2),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
)
model.fit(tokens, polarity, batch_size=12, epochs=2, shuffle=False, verbose=2)
