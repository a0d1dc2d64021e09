"""The topics of `empty_text_embedding.py` with a normalisation whose root never sees 0."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(4)
VOCABULARY, TOPICS = 50, 5
topic = rng.integers(TOPICS, size=128)
words = rng.poisson(0.05 + 0.6 * (np.arange(VOCABULARY) % TOPICS == topic[:, None]))
words[66] = 0  # an empty message
counts = words.astype("float32")


class SafeUnitNormalization(layers.Layer):
    def call(self, x):
        square_sum = ops.sum(ops.square(x), axis=-1, keepdims=True)
        return x / ops.sqrt(ops.maximum(square_sum, 1e-12))


model = keras.Sequential(name="topics")
model.add(keras.Input((VOCABULARY,)))
model.add(layers.Dense(16, use_bias=False, name="embedding"))
model.add(SafeUnitNormalization(name="on_the_sphere"))
model.add(layers.Dense(TOPICS))
model.compile(
    optimizer=keras.optimizers.AdamW(5e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
model.fit(counts, topic, batch_size=8, epochs=3, shuffle=False, verbose=0)
print("loss, accuracy:", model.evaluate(counts, topic, verbose=0))
