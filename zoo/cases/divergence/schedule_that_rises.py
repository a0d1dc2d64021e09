"""Lets the learning rate of a regression decay, with the rate of decay given the wrong way round.

`decay_rate` multiplies the learning rate. The 2 was meant as "half of it"; the learning rate
doubles every ten steps instead, and leaves the stable range in mid-training.
"""
# /// zoo
# cause = "divergence"
# step = 90
# fix = "setting"
# stands_for = ["J01"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(7)
tides = rng.normal(size=(400, 4)).astype("float32")
level = tides @ np.array([[4.0], [1.6], [-1.2], [0.4]]) + rng.normal(0, 0.2, size=(400, 1))

schedule = keras.optimizers.schedules.ExponentialDecay(
    initial_learning_rate=0.02,
    decay_steps=10,
    decay_rate=2.0,
    staircase=True,
)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, kernel_initializer="zeros")])
model.compile(optimizer=keras.optimizers.SGD(schedule), loss=keras.losses.MeanSquaredError())
history = model.fit(
    tides, level.astype("float32"), batch_size=20, epochs=8, shuffle=False, verbose=0
)
print("loss", history.history["loss"])
