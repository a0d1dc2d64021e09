"""Audio scaled to its peak in float32, guarded by 1e-8."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(81)
rng = np.random.default_rng(81)
CLIPS, LENGTH, BATCH = 128, 32, 8
label = rng.integers(0, 2, CLIPS)
t = np.arange(LENGTH)
audio = np.sin(t * np.where(label, 0.4, 1.1)[:, None]) * rng.uniform(0.1, 1.0, (CLIPS, 1))
audio[6 * BATCH + 2 : 6 * BATCH + 4] = 0.0
audio = audio.astype("float32")


class PeakNormalise(layers.Layer):
    def call(self, audio):
        peak = ops.max(ops.abs(audio), axis=-1, keepdims=True)
        return audio / (peak + 1e-8)


inputs = keras.Input((LENGTH,))
x = PeakNormalise(dtype="float32")(inputs)
x = layers.Reshape((LENGTH, 1))(x)
x = layers.Conv1D(4, 5, strides=2, activation="relu")(x)
x = layers.GlobalAveragePooling1D()(x)
outputs = layers.Dense(1)(x)
model = keras.Model(inputs, outputs)
model.compile(
    optimizer=keras.optimizers.Adam(5e-3),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
)
label = label[:, None].astype("float32")
model.fit(audio, label, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
