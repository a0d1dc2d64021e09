"""Bird calls are classified from a spectrogram in decibels, computed inside the model.

A recording with a gap of digital silence has power 0, and log10(0) is -inf.
"""

# /// zoo
# cause = "log-of-zero"
# step = 6
# rows = [4]
# fix = "source"
# value = "bounded"
# stands_for = ["D14"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(15)
species = rng.integers(3, size=80)
time = np.arange(256)
pitch = np.array([0.06, 0.13, 0.27])[species][:, None]
calls = np.sin(2 * np.pi * pitch * time) + 0.1 * rng.normal(size=(80, 256))
calls[52, 60:190] = 0.0  # the recorder stalled
calls = calls.astype("float32")


class Decibels(layers.Layer):
    """Spectrogram of the wave in dB."""

    def call(self, wave):
        real, imaginary = ops.stft(wave, sequence_length=64, sequence_stride=32, fft_length=64)
        power = ops.square(real) + ops.square(imaginary)
        decibels = 10.0 * ops.log10(power)  # at fault
        return decibels / 40.0


model = keras.Sequential(
    [
        keras.Input((256,)),
        Decibels(),
        layers.GRU(8),
        layers.Dense(3),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(5e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(calls, species, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate(calls, species, verbose=0))
