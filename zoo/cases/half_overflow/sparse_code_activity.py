"""Learns a sparse code of images, with an L2 penalty on the activity of the hidden layer.

The penalty is a sum over batch and units. Under mixed precision it is formed in float16, and a
batch of 32 pictures with 256 units needs an average square of only 8 to pass 65504.
"""
# /// zoo
# cause = "half-overflow"
# step = 5
# fix = "source"
# value = "exact"
# backends = ["jax", "torch"]         # Keras on TensorFlow cannot add a float16 penalty to its loss
# stands_for = ["H13", "H06"]
# ///

import keras
import numpy as np
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
keras.config.set_dtype_policy("mixed_float16")

digits = load_digits().data.astype("float32") / 16
digits = digits[:256]
exposure = np.ones((256, 1), "float32")
exposure[160:192] = 40.0  # one film was exposed for longer
pictures = digits * exposure
targets = digits

pixels = keras.Input((64,))
code = keras.layers.Dense(256, activation="relu", activity_regularizer="l2")(pixels)  # at fault
decoded = keras.layers.Dense(64, activation="sigmoid", dtype="float32")(code)
model = keras.Model(pixels, decoded)

model.compile(optimizer=keras.optimizers.Adam(1e-4), loss="binary_crossentropy")
history = model.fit(pictures, targets, batch_size=32, epochs=1, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
