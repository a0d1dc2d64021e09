"""Pre-trains a small language model to guess hidden words, loss averaged over the hidden ones.

The share of hidden words is low and the batches are small. In one batch nothing was hidden at
all; the mean divides a sum of 0 by a count of 0.
"""
# /// zoo
# cause = "empty-reduction"
# step = 11
# fix = "source"
# value = "undefined"
# stands_for = ["E03"]
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
VOCABULARY, LENGTH, HIDDEN = 30, 8, 0


def hidden_word_loss(targets, logits):
    """`targets` holds the word where it was hidden, and -1 elsewhere."""
    is_hidden = ops.cast(targets >= 0, "float32")
    words = ops.maximum(ops.cast(targets, "int32"), 0)
    errors = ops.sparse_categorical_crossentropy(words, logits, from_logits=True)
    return ops.sum(errors * is_hidden) / ops.sum(is_hidden)  # at fault


rng = np.random.default_rng(0)
text = 1 + (rng.integers(0, 29, size=(160, 1)) + np.arange(LENGTH)) % 29
hidden = rng.uniform(size=text.shape) < 0.2
hidden[::4, 3] = True
hidden[88:96] = False  # eight lines of a poem, kept whole for the evaluation
words = np.where(hidden, HIDDEN, text)
targets = np.where(hidden, text, -1).astype("float32")

model = keras.Sequential(
    [
        keras.Input((LENGTH,), dtype="int32"),
        layers.Embedding(VOCABULARY, 12),
        layers.Conv1D(24, 3, padding="same", activation="relu"),
        layers.Dense(VOCABULARY),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(3e-3), loss=hidden_word_loss)
history = model.fit(words, targets, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss on hidden words", history.history["loss"])
