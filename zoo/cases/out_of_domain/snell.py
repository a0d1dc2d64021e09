"""Fit the refractive index of a prism from measured angles."""

# /// zoo
# cause = "out-of-domain"
# step = 9
# rows = [20]
# fix = "source"
# value = "undefined"
# ///

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(1)
rng = np.random.default_rng(1)
BATCH = 24
incidence = rng.uniform(0.05, 0.6, (480, 1)).astype("float32")
incidence[9 * BATCH + 20] = 1.45
sine = np.clip(1.33 * np.sin(incidence), None, 1.0)
refracted = (np.arcsin(sine) + 0.01 * rng.normal(size=sine.shape)).astype("float32")


class Prism(keras.layers.Layer):
    def build(self, input_shape):
        self.index = self.add_weight(shape=(1,), initializer="ones", name="index")
        self.offset = self.add_weight(shape=(1,), initializer="zeros", name="offset")

    def call(self, angle):
        s = ops.sin(angle)
        s = s * self.index
        out = ops.arcsin(s)  # at fault
        return out + self.offset


model = keras.Sequential([keras.Input((1,)), Prism()])
model.compile(optimizer=keras.optimizers.Adam(0.03), loss="huber")
model.fit(incidence, refracted, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
