"""Removes the level and the gain of microphones with an instance norm written by hand.

The epsilon of 1e-8 comes from float32 code. The layer runs in float16, where it is 0; a clip of
digital silence has variance 0, and the norm multiplies 0 by the infinite rsqrt(0).
"""
# /// zoo
# cause = "epsilon-underflow"
# step = 3
# rows = [12]
# fix = "source"
# value = "exact"
# stands_for = ["G07", "H11"]
# ///

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
        return (clip - level) * keras.ops.rsqrt(spread + self.epsilon)  # at fault


rng = np.random.default_rng(3)
time = np.arange(64)
pitch = rng.uniform(0.1, 0.8, size=(96, 1))
clips = np.sin(pitch * time) * rng.uniform(0.2, 2, size=(96, 1)) + rng.normal(0, 0.1, (96, 64))
clips[60] = 0.0
clips = clips[..., None].astype("float32")

half = keras.dtype_policies.DTypePolicy("mixed_float16")
model = keras.Sequential(
    [
        keras.Input((64, 1)),
        InstanceNorm(dtype=half),
        keras.layers.Conv1D(4, 5, strides=4, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(1),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mean_squared_error")
history = model.fit(clips, pitch.astype("float32"), batch_size=16, shuffle=False, verbose=0)
print("pitch error", history.history["loss"])
