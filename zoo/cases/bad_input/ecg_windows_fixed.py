"""Finds arrhythmias in windows of an ECG; a constant window becomes all zeros."""

import keras
import numpy as np


def recording(length, rng):
    time = np.arange(length) / 50.0
    signal = np.sin(2 * np.pi * 1.2 * time) ** 15 + 0.05 * rng.normal(size=length)
    signal[1568:1600] = 0.0
    return signal.astype("float32")


def batches(signal, labels, size=8, width=32):
    """Yield standardised windows for ever, as `fit` wants it of a generator."""
    windows = signal.reshape(-1, width)
    while True:
        for start in range(0, len(windows), size):
            window = windows[start : start + size]
            centred = window - window.mean(axis=1, keepdims=True)
            deviation = window.std(axis=1, keepdims=True)
            window = centred / np.where(deviation == 0.0, 1.0, deviation)
            yield window[..., None], labels[start : start + size]


keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
signal = recording(96 * 2 * 32, rng)
labels = (rng.uniform(size=192) < 0.3).astype("float32")

inputs = keras.Input((32, 1))
x = keras.layers.Conv1D(8, 5, activation="relu")(inputs)
x = keras.layers.MaxPooling1D(2)(x)
x = keras.layers.Flatten()(x)
outputs = keras.layers.Dense(1)(x)
model = keras.Model(inputs, outputs)
model.compile("rmsprop", keras.losses.BinaryCrossentropy(from_logits=True))
np.seterr(invalid="ignore")
history = model.fit(batches(signal, labels), steps_per_epoch=12, epochs=1, verbose=0)
print("loss", history.history["loss"][-1])
