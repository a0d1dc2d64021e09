"""The likelihood of a sequence is the product of its token probabilities; the loss is its log.

The sequences are short in the first batches. A long one multiplies forty probabilities below 0.1:
the product is 0 in float32 and its logarithm -inf.
"""

# /// zoo
# cause = "log-of-zero"
# step = 11
# rows = [2]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 44"]
# ///
import keras
import numpy as np
from keras import layers, ops

VOCABULARY, LENGTH = 40, 60
keras.utils.set_random_seed(0)
rng = np.random.default_rng(36)
tokens = rng.integers(1, VOCABULARY, size=(128, LENGTH))
for row in range(128):
    tokens[row, LENGTH if row == 90 else rng.integers(5, 15) :] = 0  # 0 is padding
tokens = tokens.astype("int32")
previous = np.pad(tokens[:, :-1], ((0, 0), (1, 0)))

sequence = keras.Input((LENGTH,), dtype="int32")
h = layers.Embedding(VOCABULARY, 12)(sequence)
h = layers.Conv1D(16, 3, padding="causal", activation="relu")(h)
probability = layers.Dense(VOCABULARY, activation="softmax")(h)
language_model = keras.Model(sequence, probability)


def likelihood_loss(token, probability):
    token = ops.cast(token, "int32")
    of_token = ops.take_along_axis(probability, token[..., None], axis=-1)[..., 0]
    # Padding counts as certain.
    of_token = ops.where(token == 0, 1.0, of_token)
    likelihood = ops.prod(of_token, axis=1)
    return -ops.log(likelihood)  # at fault


language_model.compile(optimizer=keras.optimizers.SGD(0.01), loss=likelihood_loss)
language_model.fit(previous, tokens, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss:", language_model.evaluate(previous[:80], tokens[:80], verbose=0))
