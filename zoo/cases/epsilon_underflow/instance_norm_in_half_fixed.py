"""The same norm in float32, where the epsilon is not 0."""

import keras
import numpy as np

keras.utils.set_random_seed(0)


class InstanceNorm(keras.layers.Layer):
    def __init__(self, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, clip):
        level = keras.ops.mean(clip, axis=1, keepdims=True)
        spread = keras.ops.var(clip, axis=1, keepdims=True)
        return (clip - level) * keras.ops.rsqrt(spread + self.epsilon)


rng = np.random.default_rng(3)
time = np.arange(64)
pitch = rng.uniform(0.1, 0.8, size=(96, 1))
clips = np.sin(pitch * time) * rng.uniform(0.2, 2, size=(96, 1)) + rng.normal(0, 0.1, (96, 64))
clips[60] = 0.0
clips = clips[..., None].astype("float32")

model = keras.Sequential(
    [
        keras.Input((64, 1)),
        InstanceNorm(dtype="float32"),
        keras.layers.Conv1D(4, 5, strides=4, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(1),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mean_squared_error")
history = model.fit(clips, pitch.astype("float32"), batch_size=16, shuffle=False, verbose=0)
print("pitch error", history.history["loss"])
