"""Predicts clicks with FTRL and a learning rate that is warmed up from 0.

FTRL divides by the learning rate, which is 0 in the first step.
"""
# /// zoo
# cause = "bad-update"
# step = 0
# fix = "source"
# value = "undefined"
# stands_for = ["K08"]
# ///

import keras
import numpy as np
from keras import ops


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Rises from 0 to `peak` within `steps` steps."""

    def __init__(self, peak, steps):
        self.peak = peak
        self.steps = steps

    def __call__(self, step):
        done = ops.cast(step, "float32") / self.steps
        return self.peak * ops.minimum(done, 1.0)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(90)
adverts = rng.integers(0, 30, (256, 2)).astype("int32")
clicked = (adverts.sum(axis=1) % 3 == 0).astype("float32")

inputs = keras.Input((2,), dtype="int32", name="advert")
hashed = keras.layers.CategoryEncoding(30, output_mode="multi_hot")(inputs)
outputs = keras.layers.Dense(1, name="click")(hashed)
model = keras.Model(inputs, outputs)
schedule = WarmUp(0.1, steps=10)
model.compile(
    keras.optimizers.Ftrl(schedule, l1_regularization_strength=1e-3),  # at fault
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
)
history = model.fit(adverts, clicked, batch_size=32, epochs=3, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
