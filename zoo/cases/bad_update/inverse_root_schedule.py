"""Trains a small transformer block with a rate that falls with the root of the step.

Keras counts steps from 0, so the rate of the first one is 1 / sqrt(0): infinite, and so are the
weights after it.
"""
# /// zoo
# cause = "bad-update"
# step = 0
# fix = "source"
# value = "bounded"
# stands_for = ["K08"]
# ///

import keras
import numpy as np
from keras import ops


class InverseRoot(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, first):
        self.first = first

    def __call__(self, step):
        """Return the learning rate of `step`."""
        root = ops.sqrt(ops.cast(step, "float32"))
        return self.first / root  # at fault


keras.utils.set_random_seed(0)
rng = np.random.default_rng(30)
tokens = rng.integers(1, 20, (128, 8)).astype("int32")
longest = (tokens > 10).sum(axis=1) > 4

inputs = keras.Input((8,), dtype="int32")
x = keras.layers.Embedding(20, 16)(inputs)
attended = keras.layers.MultiHeadAttention(num_heads=2, key_dim=8)(x, x)
x = keras.layers.LayerNormalization()(x + attended)
x = keras.layers.GlobalAveragePooling1D()(x)
model = keras.Model(inputs, keras.layers.Dense(1)(x))
model.compile(
    optimizer=keras.optimizers.Adam(InverseRoot(0.01), beta_2=0.98, epsilon=1e-9),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
)
history = model.fit(tokens, longest.astype("float32"), batch_size=16, epochs=2, verbose=0)
print("loss", history.history["loss"][-1])
