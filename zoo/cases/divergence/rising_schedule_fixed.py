"""Diabetes-like regression; the decay of the learning rate grows instead."""

import keras
from keras import layers
from sklearn.datasets import make_friedman1

keras.utils.set_random_seed(32)
x, y = make_friedman1(n_samples=640, n_features=8, noise=0.5, random_state=32)
x, y = x.astype("float32"), y.astype("float32")

schedule = keras.optimizers.schedules.ExponentialDecay(
    initial_learning_rate=0.001,
    decay_steps=2,
    decay_rate=0.9,
)
model = keras.Sequential(
    [
        keras.Input((8,)),
        layers.Dense(32, activation="relu"),
        layers.Dense(32, activation="relu"),
        layers.Dense(1),
    ]
)
model.compile(keras.optimizers.SGD(schedule), loss="mean_squared_error")
history = model.fit(x, y, batch_size=32, epochs=3, shuffle=False, verbose=0)
print("last loss", history.history["loss"][-1])
