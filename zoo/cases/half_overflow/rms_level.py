"""The level of a signal as the root of the mean square, in a float16 layer. 400 squared is more
than float16 holds."""

# /// zoo
# cause = "half-overflow"
# step = 13
# rows = [2]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(53)
rng = np.random.default_rng(53)

wave = (20 * rng.normal(size=(160, 16))).astype("float32")
loud = np.log(np.sqrt((wave**2).mean(axis=1, keepdims=True))).astype("float32")
wave[106] *= 25.0


class Level(layers.Layer):
    def build(self, shape):
        self.weight = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        energy = ops.sum(ops.square(x * self.weight), axis=-1, keepdims=True)  # at fault
        return ops.sqrt(energy / x.shape[-1] + 1e-3)


model = keras.Sequential(
    [
        keras.Input((16,)),
        Level(dtype="float16"),
        layers.Rescaling(0.05, dtype="float32"),
        layers.Dense(8, activation="softplus"),
        layers.Dense(1),
    ]
)
model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse")
model.fit(wave, loud, batch_size=8, epochs=1, shuffle=False, verbose=0)
