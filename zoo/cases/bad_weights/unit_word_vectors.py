"""Sorts questions with pretrained word vectors, each scaled to length 1 before it was saved.

The vector of the padding word is all zeros. Scaled to length 1 it is 0 / 0, and row 0 of the
embedding matrix in the file is NaN.
"""
# /// zoo
# cause = "bad-weights"
# step = 0
# fix = "data"
# stands_for = ["I03", "L07"]
# ///

import tempfile
from pathlib import Path

import keras
import numpy as np

VOCABULARY, DIMENSION, LENGTH = 40, 8, 12


def pretrained(folder):
    """Stand in for the file of word vectors; word 0 is the padding."""
    vectors = np.random.default_rng(12).normal(size=(VOCABULARY, DIMENSION))
    vectors[0] = 0.0
    with np.errstate(invalid="ignore"):
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    path = Path(folder) / "vectors.npy"
    np.save(path, vectors.astype("float32"))
    return path


def questions(count):
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, count)
    words = np.zeros((count, LENGTH), dtype="int32")
    for row, label in zip(words, labels, strict=True):
        length = rng.integers(4, LENGTH)
        row[:length] = rng.integers(1 + 15 * label, 25 + 15 * label, length)
    return words, labels


keras.utils.set_random_seed(0)
with tempfile.TemporaryDirectory() as folder:
    matrix = np.load(pretrained(folder))
words, labels = questions(96)

embedding = keras.layers.Embedding(VOCABULARY, DIMENSION, name="words", trainable=False)
embedding.build((None, LENGTH))
embedding.set_weights([matrix])
model = keras.Sequential(
    [
        keras.Input((LENGTH,), dtype="int32"),
        embedding,
        keras.layers.Conv1D(8, 3, activation="relu"),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(2),
    ]
)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
history = model.fit(words, labels, batch_size=16, epochs=4, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
