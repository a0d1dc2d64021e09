"""Trains a regression with the learning rate that the paper used on 32 workers.

32 workers make 32 times the batch; alone, the rate is beyond the stable 2 / curvature, and the
weights alternate in sign and grow.
"""
# /// zoo
# cause = "divergence"
# step = 16
# fix = "setting"
# stands_for = ["J01"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
WORKERS = 32
BASE_RATE = 0.25

rng = np.random.default_rng(2)
x = rng.normal(size=(320, 6)).astype("float32")
y = (x @ rng.normal(size=(6, 1)) + rng.normal(0, 0.1, size=(320, 1))).astype("float32")


class LinearModel(keras.Model):
    def __init__(self):
        super().__init__()
        self.linear = keras.layers.Dense(1, kernel_initializer="zeros")

    def call(self, inputs):
        return self.linear(inputs)


model = LinearModel()
model.compile(
    optimizer=keras.optimizers.SGD(learning_rate=BASE_RATE * WORKERS),
    loss="mean_squared_error",
    metrics=["mae"],
)
history = model.fit(x, y, batch_size=16, epochs=10, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1], "mae", history.history["mae"][-1])
