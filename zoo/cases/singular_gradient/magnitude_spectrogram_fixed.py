"""The enhancement of `magnitude_spectrogram.py`; silence has magnitude 0 and no slope."""

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(9)
t = np.arange(128)
pitch = rng.uniform(0.05, 0.4, size=(48, 1))
speech = np.sin(pitch * t + rng.uniform(0, 6, size=(48, 1)))
noisy = speech + 0.2 * rng.normal(size=speech.shape)
speech[40], noisy[40] = 0.0, 0.0
speech, noisy = speech.astype("float32"), noisy.astype("float32")


def magnitude(wave):
    real, imaginary = ops.stft(wave, sequence_length=32, sequence_stride=16, fft_length=32)
    power = real * real + imaginary * imaginary
    is_sound = power > 0
    return ops.where(is_sound, ops.sqrt(ops.where(is_sound, power, 1.0)), 0.0)


def spectral_loss(clean, enhanced):
    return ops.mean(ops.abs(magnitude(clean) - magnitude(enhanced)), axis=(1, 2))


waveform = keras.Input((128,))
x = keras.layers.Reshape((128, 1))(waveform)
x = keras.layers.Conv1D(8, 9, padding="same", activation="tanh", use_bias=False)(x)
x = keras.layers.Conv1D(1, 9, padding="same", use_bias=False)(x)
enhancer = keras.Model(waveform, keras.layers.Reshape((128,))(x))

enhancer.compile(optimizer=keras.optimizers.Adam(1e-3, clipnorm=1.0), loss=spectral_loss)
enhancer.fit(noisy, speech, batch_size=4, epochs=2, shuffle=False, verbose=0)
print("spectral loss:", enhancer.evaluate(noisy, speech, verbose=0))
