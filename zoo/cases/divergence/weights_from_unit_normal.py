"""Trains a deep autoencoder whose weights start from a normal distribution of deviation 1.

The author set the initialiser by name and got the wrong deviation. A layer of 64 units multiplies
the signal by 6, eight layers by a million, and the first updates multiply it further.
"""
# /// zoo
# cause = "divergence"
# step = 1
# fix = "setting"
# stands_for = ["J05"]
# ///

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
unit_normal = keras.initializers.RandomNormal(stddev=1.0, seed=1)

digits = load_digits().data.astype("float32") / 16

image = keras.Input((64,))
signal = image
for _ in range(7):
    signal = layers.Dense(64, activation="relu", kernel_initializer=unit_normal)(signal)
decoded = layers.Dense(64, kernel_initializer=unit_normal)(signal)
autoencoder = keras.Model(image, decoded)

autoencoder.compile(keras.optimizers.SGD(1e-3), "mse")
history = autoencoder.fit(digits, digits, batch_size=128, epochs=2, shuffle=False, verbose=0)
print("reconstruction error", history.history["loss"][-1])
