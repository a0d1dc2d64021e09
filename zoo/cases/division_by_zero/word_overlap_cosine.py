"""Questions are matched to answers by the cosine of their weighted bags of words.

An answer of unknown words only has an all-zero vector; the cosine divides by its length.
"""

# /// zoo
# cause = "division-by-zero"
# step = 5
# rows = [8]
# fix = "source"
# value = "undefined"
# stands_for = ["A11", "GRIST 28b"]
# ///
import keras
import numpy as np
from keras import layers, ops

WORDS = 30
keras.utils.set_random_seed(0)
rng = np.random.default_rng(20)
topic = rng.integers(3, size=(120, 2))
topic[::2, 1] = topic[::2, 0]
profile = 0.1 + 1.5 * (np.arange(WORDS) % 3 == np.arange(3)[:, None])
bags = rng.poisson(profile[topic]).astype("float32")
bags[58, 1] = 0.0
match = (topic[:, 0] == topic[:, 1]).astype("float32")


class WeightedCosine(layers.Layer):
    def build(self, question_shape, answer_shape):
        self.importance = self.add_weight(shape=(WORDS,), initializer="ones", name="importance")

    def call(self, question, answer):
        q = question * self.importance
        a = answer * self.importance
        dot = ops.sum(q * a, axis=-1, keepdims=True)
        lengths = ops.sqrt(
            ops.sum(q * q, axis=-1, keepdims=True) * ops.sum(a * a, axis=-1, keepdims=True)
        )
        return ops.divide(dot, lengths)  # at fault


question = keras.Input((WORDS,))
answer = keras.Input((WORDS,))
logit = layers.Dense(1)(WeightedCosine()(question, answer))
matcher = keras.Model([question, answer], logit)
matcher.compile(
    optimizer=keras.optimizers.Adam(0.02), loss=keras.losses.BinaryCrossentropy(from_logits=True)
)
matcher.fit([bags[:, 0], bags[:, 1]], match, batch_size=10, epochs=3, shuffle=False, verbose=0)
print("loss:", matcher.evaluate([bags[:, 0], bags[:, 1]], match, verbose=0))
