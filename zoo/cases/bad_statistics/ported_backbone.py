"""Fine-tunes a backbone whose weights were ported from another library.

That library stores a normalisation as mean, variance, gamma, beta. Written into Keras in that
order, beta becomes the moving variance; some of it is negative, and its square root is NaN.
"""
# /// zoo
# cause = "bad-statistics"
# step = 0
# fix = "data"
# stands_for = ["L10", "L14"]
# ///

import keras
import numpy as np


def ported(channels):
    """Stand in for the converted file: layer name to its arrays."""
    rng = np.random.default_rng(18)
    return {
        "convolution": [rng.normal(size=(3, 3, 1, channels)) / 3.0],
        "normalisation": [
            rng.normal(size=channels),  # mean
            rng.uniform(0.5, 1.5, channels),  # variance
            rng.uniform(0.8, 1.2, channels),  # gamma
            rng.normal(size=channels),  # beta
        ],
    }


def backbone(channels):
    inputs = keras.Input((10, 10, 1))
    x = keras.layers.Conv2D(channels, 3, use_bias=False, name="convolution")(inputs)
    x = keras.layers.BatchNormalization(name="normalisation")(x)
    x = keras.layers.Activation("swish")(x)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name="backbone")
    for name, arrays in ported(channels).items():
        model.get_layer(name).set_weights(arrays)
    model.trainable = False
    return model


keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
images = rng.uniform(size=(80, 10, 10, 1)).astype("float32")
brightness = images.mean(axis=(1, 2))

model = keras.Sequential([backbone(8), keras.layers.Dense(1, name="head")])
model.compile(keras.optimizers.Adam(0.02), loss="mse")
history = model.fit(images, brightness, batch_size=8, epochs=3, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
