"""The same regression; the decay rate is below 1."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(7)
tides = rng.normal(size=(400, 4)).astype("float32")
level = tides @ np.array([[4.0], [1.6], [-1.2], [0.4]]) + rng.normal(0, 0.2, size=(400, 1))

schedule = keras.optimizers.schedules.ExponentialDecay(
    initial_learning_rate=0.02,
    decay_steps=10,
    decay_rate=0.5,
    staircase=True,
)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, kernel_initializer="zeros")])
model.compile(optimizer=keras.optimizers.SGD(schedule), loss=keras.losses.MeanSquaredError())
history = model.fit(
    tides, level.astype("float32"), batch_size=20, epochs=8, shuffle=False, verbose=0
)
print("loss", history.history["loss"])
