"""Bird calls with a learnable mel-like filter bank and log compression. One recording is digital
silence, its energies are exactly 0.
"""

# /// zoo
# cause = "log-of-zero"
# step = 3
# rows = [1]
# fix = "source"
# value = "bounded"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(9)
rng = np.random.default_rng(9)
CLIPS, LENGTH, FRAME, BATCH = 60, 256, 64, 6
species = rng.integers(0, 3, CLIPS)
t = np.arange(LENGTH)
calls = np.sin(t[None, :] * (0.2 + 0.3 * species[:, None])) + rng.normal(0, 0.1, (CLIPS, LENGTH))
calls[3 * BATCH + 1] = 0.0
calls = calls.astype("float32")


class LogFilterBank(layers.Layer):
    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, shape):
        self.bank = self.add_weight(
            shape=(FRAME // 2 + 1, self.filters),
            initializer=keras.initializers.RandomUniform(0.01, 0.2, seed=1),
            constraint=keras.constraints.NonNeg(),
        )

    def call(self, audio):
        frames = ops.reshape(audio, (-1, LENGTH // FRAME, FRAME))
        real, imag = ops.rfft(frames)
        power = ops.square(real) + ops.square(imag)
        energies = ops.matmul(power, self.bank)
        return ops.log(energies)  # at fault


net = keras.Sequential([keras.Input((LENGTH,)), LogFilterBank(10)])
net.add(layers.Flatten())
net.add(layers.Dense(3, activation="softmax"))
net.compile("adam", "sparse_categorical_crossentropy")
net.fit(calls, species, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
