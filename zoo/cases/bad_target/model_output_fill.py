"""Emulation of a climate model whose files mark missing values by 1e20."""

# /// zoo
# cause = "bad-target"
# step = 16
# rows = [7]
# fix = "data"
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(75)
rng = np.random.default_rng(75)

forcing = rng.normal(size=(200, 5)).astype("float32")
response = np.stack([np.tanh(forcing[:, 0]), forcing[:, 1] * forcing[:, 2]], axis=1).astype(
    "float32"
)
response[135, 1] = 1e20

inputs = keras.Input((5,))
trunk = layers.Dense(24, activation="tanh")(inputs)
heads = [layers.Dense(1, name=name)(trunk) for name in ("temperature", "rain")]
model = keras.Model(inputs, heads)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=["mse", "mse"], loss_weights=[1.0, 0.5])
model.fit(
    forcing, [response[:, :1], response[:, 1:]], batch_size=8, epochs=1, shuffle=False, verbose=0
)
