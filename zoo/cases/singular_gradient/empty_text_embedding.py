"""Short messages are embedded on the unit sphere with Keras' own normalisation layer.

An empty message has no known word and its embedding is the zero vector. The epsilon of the layer
guards its value; the gradient still goes through the reciprocal square root of 0.
"""

# /// zoo
# cause = "singular-gradient"
# step = 8
# rows = [2]
# fix = "source"
# value = "exact"
# backends = ["jax", "torch"]
# stands_for = ["A10", "A11"]
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
rng = np.random.default_rng(4)
VOCABULARY, TOPICS = 50, 5
topic = rng.integers(TOPICS, size=128)
words = rng.poisson(0.05 + 0.6 * (np.arange(VOCABULARY) % TOPICS == topic[:, None]))
words[66] = 0  # an empty message
counts = words.astype("float32")

model = keras.Sequential(name="topics")
model.add(keras.Input((VOCABULARY,)))
model.add(layers.Dense(16, use_bias=False, name="embedding"))
model.add(layers.UnitNormalization(name="on_the_sphere"))  # at fault
model.add(layers.Dense(TOPICS))
model.compile(
    optimizer=keras.optimizers.AdamW(5e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
model.fit(counts, topic, batch_size=8, epochs=3, shuffle=False, verbose=0)
print("loss, accuracy:", model.evaluate(counts, topic, verbose=0))
