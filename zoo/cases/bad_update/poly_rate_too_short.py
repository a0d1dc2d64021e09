"""The polynomial learning rate of segmentation papers, for two epochs. The training runs for
three, and a negative number to the power 0.9 is NaN."""

# /// zoo
# cause = "bad-update"
# step = 33
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(85)
rng = np.random.default_rng(85)


class PolyRate(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, start, total, power=0.9):
        self.start, self.total, self.power = start, total, power

    def __call__(self, step):
        left = 1.0 - ops.cast(step, "float32") / self.total
        return self.start * ops.power(left, self.power)  # at fault

    def get_config(self):
        return {"start": self.start, "total": self.total, "power": self.power}


image = rng.random((128, 6, 6, 2)).astype("float32")
mask = (image.sum(axis=-1, keepdims=True) > 1).astype("float32")

model = keras.Sequential(
    [
        keras.Input((6, 6, 2)),
        layers.Conv2D(6, 3, padding="same", activation="relu"),
        layers.Conv2D(1, 1),
    ]
)
rate = PolyRate(0.05, 2 * 16)
model.compile(
    optimizer=keras.optimizers.SGD(rate, momentum=0.9),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
)
model.fit(image, mask, batch_size=8, epochs=3, shuffle=False, verbose=0)
