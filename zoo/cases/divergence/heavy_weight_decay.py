"""Fits a sparse linear model and fights overfitting with a very strong L2 penalty.

The penalty of 100 has the gradient 200 w. A step of 0.05 times that turns the weights to -9 times
themselves, so the term that was to shrink them makes them grow.
"""
# /// zoo
# cause = "divergence"
# step = 22
# fix = "setting"
# stands_for = ["H13"]
# ///

import keras
import numpy as np
from keras import layers, regularizers

keras.utils.set_random_seed(0)
rng = np.random.default_rng(6)
genes = rng.normal(size=(240, 30)).astype("float32")
growth = (genes[:, :3].sum(axis=1) + rng.normal(0, 0.2, size=240)).astype("float32")

inputs = keras.Input(shape=(30,))
linear = layers.Dense(1, kernel_initializer="zeros", kernel_regularizer=regularizers.L2(100.0))
model = keras.Model(inputs=inputs, outputs=linear(inputs))
model.compile(optimizer=keras.optimizers.SGD(learning_rate=0.05), loss="mean_absolute_error")
history = model.fit(genes, growth, batch_size=24, epochs=8, shuffle=False, verbose=0)
print("loss", history.history["loss"])
