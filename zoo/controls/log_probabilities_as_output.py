"""A language model that also returns log-probabilities in which forbidden words are -inf.

Only the scores have a loss; the second output is for the search at inference.
"""

import keras
import numpy as np
from keras import ops

VOCABULARY = 15
FORBIDDEN = np.where(np.arange(VOCABULARY) < 2, -np.inf, 0.0).astype("float32")


class Forbid(keras.layers.Layer):
    def call(self, scores):
        return ops.log_softmax(scores, axis=-1) + ops.convert_to_tensor(FORBIDDEN)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(27)
text = rng.integers(2, VOCABULARY, (100, 7)).astype("int32")

inputs = keras.Input((6,), dtype="int32")
x = keras.layers.Embedding(VOCABULARY, 8)(inputs)
x = keras.layers.GRU(12)(x)
scores = keras.layers.Dense(VOCABULARY, name="scores")(x)
model = keras.Model(inputs, {"scores": scores, "search": Forbid(name="search")(scores)})
crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss={"scores": crossentropy, "search": None})
history = model.fit(
    text[:, :6], {"scores": text[:, 6], "search": text[:, 6]}, batch_size=20, epochs=2, verbose=0
)
print("loss", history.history["loss"][-1])
