"""Trains a small transformer block with the schedule of the original paper.

min(step ** -0.5, step * warmup ** -1.5) is written with the step as Keras counts it, from 0, and
for a warm-up of 0 steps. In the first step 0 ** -0.5 and 0 * inf meet.
"""
# /// zoo
# cause = "bad-update"
# step = 0
# fix = "source"
# stands_for = ["K08", "J05"]
# ///

import keras
import numpy as np
from keras import ops


class PaperSchedule(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, width, warmup):
        self.width, self.warmup = width, warmup

    def __call__(self, step):
        """Return the learning rate of `step`."""
        step = ops.cast(step, "float32")
        decay = 1.0 / ops.sqrt(step)
        climb = step / ops.cast(self.warmup, "float32") ** 1.5  # at fault
        return self.width**-0.5 * ops.minimum(decay, climb)


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
    optimizer=keras.optimizers.Adam(PaperSchedule(16, warmup=0), beta_2=0.98, epsilon=1e-9),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
)
history = model.fit(tokens, longest.astype("float32"), batch_size=16, epochs=2, verbose=0)
print("loss", history.history["loss"][-1])
