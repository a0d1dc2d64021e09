"""Keyword spotting on power spectra with a learned filterbank and cube-root loudness."""

# /// zoo
# cause = "singular-gradient"
# step = 9
# rows = [2]
# fix = "source"
# value = "exact"
# ///

import os

import keras
import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras.utils.set_random_seed(5)

rng = np.random.default_rng(5)
CLIPS, FRAMES, BINS, BATCH = 256, 10, 33, 16
word = rng.integers(0, 3, CLIPS)
spectra = rng.gamma(1.0, 1.0, (CLIPS, FRAMES, BINS)).astype("float32")
for i, w in enumerate(word):
    spectra[i, :, 8 * w : 8 * w + 8] *= 3.0
spectra[9 * BATCH + 2, 6:] = 0.0  # the recording was cut short


class LearnedFilterbank(keras.layers.Layer):
    """Positive filters, then Stevens' power law."""

    def __init__(self, bands, exponent=0.33, **kwargs):
        super().__init__(**kwargs)
        self.bands = bands
        self.exponent = exponent

    def build(self, shape):
        self.filters = self.add_weight(shape=(shape[-1], self.bands), initializer="glorot_uniform")

    def call(self, power):
        energy = keras.ops.matmul(power, keras.ops.softplus(self.filters))
        loudness = energy**self.exponent  # at fault
        return loudness - keras.ops.mean(loudness, axis=-1, keepdims=True)


model = keras.Sequential(
    [
        keras.Input((FRAMES, BINS)),
        LearnedFilterbank(12),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(3, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(spectra, word, batch_size=BATCH, epochs=1, shuffle=False, verbose=2)
