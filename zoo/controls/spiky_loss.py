"""Regression of claims with a long tail: some batches have a loss a million times that of others.

Clipped gradients carry it; nothing is or becomes non-finite.
"""

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(10)
policies = rng.normal(size=(320, 6)).astype("float32")
claims = np.exp(policies[:, 0]).astype("float32")
claims[[70, 71, 200, 307]] *= [4e3, 9e4, 1e5, 2e5]

model = keras.Sequential(
    [
        keras.Input((6,)),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(1, activation="softplus"),
    ]
)
model.compile(keras.optimizers.Adam(1e-3, clipnorm=1.0), loss="mse", metrics=["mae"])


class Spikes(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])


spikes = Spikes()
model.fit(policies, claims, batch_size=16, epochs=2, shuffle=False, verbose=0, callbacks=[spikes])
print("smallest", min(spikes.losses), "largest", max(spikes.losses))
