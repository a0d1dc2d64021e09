"""Trains on one sample at a time through batch, layer and group normalisation.

The variance over a batch of one vector is 0 for each feature, so batch normalisation gives its
offset alone.
"""
# /// zoo
# stands_for = ["G01"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(16)
x = rng.normal(size=(40, 8)).astype("float32")
y = x[:, :1] - x[:, 1:2]

inputs = keras.Input((8,))
left = keras.layers.BatchNormalization()(keras.layers.Dense(6)(inputs))
right = keras.layers.LayerNormalization()(keras.layers.Dense(6)(inputs))
third = keras.layers.GroupNormalization(groups=2)(keras.layers.Dense(6)(inputs))
merged = keras.layers.Concatenate()([left, right, third])
model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.ReLU()(merged)))
model.compile(keras.optimizers.SGD(0.01), "mse")
history = model.fit(x, y, batch_size=1, epochs=1, verbose=0)
print("loss", history.history["loss"][-1])
