"""The same autoencoder, started by the rule of He."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
he_normal = keras.initializers.HeNormal(seed=1)

digits = load_digits().data.astype("float32") / 16

image = keras.Input((64,))
signal = image
for _ in range(7):
    signal = layers.Dense(64, activation="relu", kernel_initializer=he_normal)(signal)
decoded = layers.Dense(64, kernel_initializer=he_normal)(signal)
autoencoder = keras.Model(image, decoded)

autoencoder.compile(keras.optimizers.SGD(1e-3), "mse")
history = autoencoder.fit(digits, digits, batch_size=128, epochs=2, shuffle=False, verbose=0)
print("reconstruction error", history.history["loss"][-1])
