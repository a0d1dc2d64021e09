"""The same shares; the layer runs in float32."""

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
keras.config.set_dtype_policy("mixed_float16")


class EnergyShare(keras.layers.Layer):
    def call(self, amplitudes):
        energy = amplitudes**2
        return energy / (ops.sum(energy, axis=-1, keepdims=True) + 1e-3)


rng = np.random.default_rng(3)
amplitudes = rng.gamma(2.0, 3.0, size=(96, 12))
machine = np.argmax(amplitudes[:, :3], axis=1)
amplitudes[73] *= 60.0  # the sensor was mounted on the bearing

network = keras.Sequential(
    [
        keras.Input((12,)),
        EnergyShare(dtype="float32"),
        keras.layers.Dense(16, activation="gelu"),
        keras.layers.Dense(3, dtype="float32"),
    ]
)
network.compile(
    optimizer="adam",
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["sparse_categorical_accuracy"],
)
result = network.fit(
    amplitudes.astype("float32"), machine, batch_size=8, epochs=2, shuffle=False, verbose=0
)
print(result.history["loss"])
