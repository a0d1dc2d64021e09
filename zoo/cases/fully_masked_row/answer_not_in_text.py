"""Answers questions about a text: the loss sums the probability of all places with the answer.

The sum is a logsumexp over the log-probabilities, -inf where the answer is not. A question whose
answer does not occur in its text leaves nothing but -inf, and the loss is infinite.
"""
# /// zoo
# cause = "fully-masked-row"
# step = 10
# rows = [4]
# fix = "source"
# value = "bounded"
# stands_for = ["F01"]
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)


def marginal_likelihood(is_answer, logits):
    log_p = ops.log_softmax(logits, axis=-1)
    allowed = ops.where(is_answer > 0, log_p, float("-inf"))
    return -ops.logsumexp(allowed, axis=-1)  # at fault


rng = np.random.default_rng(2)
texts = rng.integers(2, 30, size=(144, 12))
questions = texts[np.arange(144), rng.integers(12, size=144)]
questions[94] = 1  # the name is spelled differently in the text
is_answer = (texts == questions[:, None]).astype("float32")

text, question = keras.Input((12,), dtype="int32"), keras.Input((1,), dtype="int32")
embed = layers.Embedding(30, 16)
logits = layers.Dot(axes=2)([embed(text), embed(question)])
model = keras.Model([text, question], layers.Reshape((12,))(logits))
model.compile(optimizer=keras.optimizers.Adam(5e-3), loss=marginal_likelihood)
history = model.fit(
    [texts, questions[:, None]], is_answer, batch_size=9, epochs=2, shuffle=False, verbose=0
)
print("marginal likelihood", history.history["loss"])
