"""Explains which means of transport people took, with a multinomial logit from the textbook.

The cross entropy is copied term by term, exp(u) / sum(exp(u)) inside the log. Utilities are
linear in cost and time; one trip was an intercontinental one, its utilities are beyond 88.7, and
inf / inf is NaN.
"""
# /// zoo
# cause = "overflow"
# step = 16
# rows = [11]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 11c", "GRIST 16b"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
MODES = ["walk", "bus", "train"]


class CrossEntropy(keras.losses.Loss):
    """Mean of -log p of the mode that was taken."""

    def call(self, y_true, utilities):
        exps = keras.ops.exp(utilities)  # at fault
        p = exps / keras.ops.sum(exps, -1)[:, None]
        return -keras.ops.sum(y_true * keras.ops.log(p), -1)


rng = np.random.default_rng(1)
distance = rng.gamma(2.0, 2.0, size=400)
luggage = rng.integers(0, 3, size=400)
mode = np.digitize(distance + 0.5 * luggage + rng.normal(0, 1, size=400), [3.0, 6.0])
distance[267], mode[267] = 6200.0, 2
trips = np.stack([distance, luggage], axis=1).astype("float32")

model = keras.Sequential([keras.layers.Dense(3, kernel_initializer="zeros")])
model.compile(optimizer=keras.optimizers.SGD(0.05), loss=CrossEntropy())
result = model.fit(
    trips,
    keras.utils.to_categorical(mode, len(MODES)),
    batch_size=16,
    epochs=2,
    shuffle=False,
    verbose=0,
)
print("loss", result.history["loss"])
