"""Adds up a sequence with a recurrent layer that uses relu in place of tanh.

Nothing bounds the state. One gradient step moves the recurrent weights above 1, and over 60 time
steps the state, and the gradient through it, is multiplied by that factor 60 times.
"""
# /// zoo
# cause = "divergence"
# step = 1
# fix = "setting"
# stands_for = ["J04"]
# ///

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
rng = np.random.default_rng(4)
sequences = rng.uniform(0, 1, size=(160, 60, 2)).astype("float32")
total = sequences[..., 0].sum(axis=1, keepdims=True)

model = keras.Sequential(
    [
        keras.Input((60, 2)),
        layers.SimpleRNN(
            8,
            activation="relu",
            kernel_initializer=keras.initializers.Constant(0.1),
            recurrent_initializer="identity",
        ),
        layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.1)),
    ]
)
model.compile(optimizer=keras.optimizers.SGD(1e-3), loss="mse")
history = model.fit(sequences, total, batch_size=16, epochs=3, shuffle=False, verbose=0)
print("mean squared error", history.history["loss"])
