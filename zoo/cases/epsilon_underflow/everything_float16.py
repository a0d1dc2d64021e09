"""Learns XOR with the whole of Keras set to float16.

The loss clips probabilities to [1e-7, 1 - 1e-7]. In float16 the upper bound is exactly 1, so a
sigmoid that has saturated passes the clip, and the loss takes the logarithm of 1 - 1.
"""
# /// zoo
# cause = "epsilon-underflow"
# step = 12
# rows = [1]
# fix = "source"
# value = "bounded"
# backends = ["jax", "torch"]
# stands_for = ["H03", "H04"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
keras.config.set_floatx("float16")
keras.config.set_dtype_policy("float16")

rng = np.random.default_rng(0)
x = rng.integers(0, 2, size=(64, 2))
y = x[:, 0] ^ x[:, 1]
x = 2.0 * x - 1 + rng.normal(0, 0.1, size=x.shape)
x[49] = [60.0, -55.0]  # the decimal points are missing
y[49] = 0

model = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid", kernel_initializer="ones"),
    ]
)
model.compile(
    optimizer=keras.optimizers.SGD(0.01),
    loss=keras.losses.BinaryCrossentropy(),  # at fault
)
history = model.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
