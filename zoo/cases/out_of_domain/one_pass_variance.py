"""Signals of machines, each normalised by its own mean and deviation. E[x^2] - E[x]^2 of a machine
that stands still comes out below 0."""

# /// zoo
# cause = "out-of-domain"
# step = 9
# rows = [6]
# fix = "source"
# value = "exact"
# backends = ["jax", "torch"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(19)
rng = np.random.default_rng(19)

load = rng.uniform(200, 900, (160, 1))
signal = 4000 + load * rng.normal(size=(160, 12))
signal[78] = 4000.0 + 0.01 * np.sin(np.arange(12))  # stands still
signal = signal.astype("float32")
target = (load / 500).astype("float32")


class PerSignalNorm(layers.Layer):
    EPS = 1e-5

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.gain = self.add_weight(shape=(), initializer="ones", name="gain")

    def call(self, x):
        mean = ops.mean(x, axis=-1, keepdims=True)
        var = ops.mean(x * x, axis=-1, keepdims=True) - mean * mean
        std = ops.sqrt(var + self.EPS)  # at fault
        return self.gain * ops.concatenate([(x - mean) / std, ops.log(std)], axis=-1)


model = keras.Sequential(
    [keras.Input((12,)), PerSignalNorm(), layers.Dense(16, activation="relu"), layers.Dense(1)]
)
model.compile(optimizer="adam", loss="mse")
model.fit(signal, target, batch_size=8, epochs=1, shuffle=False, verbose=0)
