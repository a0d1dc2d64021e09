"""A learning rate that decays as sqrt(1 - step / total). Two more epochs were added, `total` was
not changed, and the root of a negative number is the learning rate.
"""

# /// zoo
# cause = "bad-update"
# step = 33
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(140)
rng = np.random.default_rng(140)
ROWS, BATCH = 150, 15
x = rng.normal(size=(ROWS, 4)).astype("float32")
y = np.abs(x).sum(axis=1, keepdims=True).astype("float32")


@keras.saving.register_keras_serializable("decay")
class SquareRootDecay(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, initial, total):
        self.initial, self.total = initial, total

    def __call__(self, step):
        remaining = 1.0 - ops.cast(step, "float32") / self.total
        return self.initial * remaining**0.5  # at fault

    def get_config(self):
        return {"initial": self.initial, "total": self.total}


schedule = SquareRootDecay(1e-2, total=32)
model = keras.Sequential([keras.Input((4,)), layers.Dense(16, activation="relu"), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(schedule, momentum=0.9), loss="mse")
model.fit(x, y, batch_size=BATCH, epochs=5, shuffle=False, verbose=2)
