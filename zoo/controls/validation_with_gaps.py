"""A clean training set, and a validation set of which some rows hold NaN: only val_loss is NaN."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(8)
rng = np.random.default_rng(8)
x = rng.normal(size=(200, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)
x[190, 2] = np.nan
model = keras.Sequential(
    [
        keras.Input((4,)),
        layers.Dense(8),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.Dense(1),
    ]
)
model.compile(optimizer="adam", loss="mse")
model.fit(
    x[:160],
    y[:160],
    validation_data=(x[160:], y[160:]),
    batch_size=8,
    epochs=2,
    shuffle=False,
    verbose=0,
)
