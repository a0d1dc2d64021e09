"""Segmentation with the poly learning rate; the number of steps was rounded down."""

# /// zoo
# cause = "bad-update"
# step = {jax = 30, tensorflow = 31, torch = 31}
# fix = "source"
# value = "undefined"
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(44)
rng = np.random.default_rng(44)
EPOCHS, BATCH = 3, 16
image = rng.random((170, 8, 8, 1)).astype("float32")
mask = (image > 0.6).astype("float32")


class Poly(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, base, total, power=0.9):
        self.base = base
        self.total = total
        self.power = power

    def __call__(self, step):
        done = ops.cast(step, "float32") / self.total
        left = 1.0 - done
        factor = left**self.power  # at fault
        return self.base * factor

    def get_config(self):
        return {"base": self.base, "total": self.total, "power": self.power}


total = EPOCHS * (len(image) // BATCH)
net = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(6, 3, padding="same", activation="relu"),
        layers.Conv2D(1, 1),
    ]
)
net.compile(
    optimizer=keras.optimizers.SGD(Poly(0.05, total), momentum=0.9),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
)
net.fit(image, mask, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
