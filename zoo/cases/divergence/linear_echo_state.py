"""A linear recurrent forecaster started at the identity, on an unscaled load curve."""

# /// zoo
# cause = "divergence"
# step = 15
# fix = "source"
# value = "bounded"
# ///

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(33)
rng = np.random.default_rng(33)
T, BATCH, LR = 24, 20, 1e-7
hours = np.arange(7000)
load = 20.0 + 8.0 * np.sin(hours * 2 * np.pi / 24) + rng.normal(size=hours.size)
windows = np.stack([load[i * 13 : i * 13 + T + 1] for i in range(500)]).astype("float32")
x, y = windows[:, :T, None], windows[:, T:]


class LinearCell(layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.units = units
        self.state_size = units
        self.inp = layers.Dense(
            units, use_bias=False, kernel_initializer=keras.initializers.Constant(0.1)
        )
        self.rec = layers.Dense(units, kernel_initializer="identity")

    def build(self, shape):
        self.inp.build(shape)
        self.rec.build((shape[0], self.units))

    def call(self, x, states):
        h = self.inp(x) + self.rec(states[0])
        return h, [h]


model = keras.Sequential(
    [keras.Input((T, 1)), layers.RNN(LinearCell(8)), layers.Dense(1, kernel_initializer="ones")]
)
model.compile(keras.optimizers.SGD(LR, momentum=0.9), loss="mse")
model.fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0)
