"""Speech autoencoder whose loss compares frame levels in decibel."""

# /// zoo
# cause = "log-of-zero"
# step = 10
# rows = [19]
# fix = "source"
# value = "bounded"
# ///

import keras
import numpy as np

keras.utils.set_random_seed(4)
rng = np.random.default_rng(4)
SAMPLES, FRAME, BATCH = 128, 16, 24
t = np.arange(SAMPLES)
pitch = rng.uniform(0.05, 0.3, (360, 1))
waves = np.sin(pitch * t + rng.uniform(0, 6, (360, 1))) + 0.05 * rng.normal(size=(360, SAMPLES))
waves[10 * BATCH + 19] = 0.0  # muted channel
waves = waves.astype("float32")


def frame_power(wave):
    frames = keras.ops.reshape(wave, (-1, SAMPLES // FRAME, FRAME))
    return keras.ops.mean(frames * frames, axis=-1)


def decibel(power):
    return 10.0 * keras.ops.log10(power)  # at fault


def level_loss(y_true, y_pred):
    wanted = decibel(frame_power(y_true))
    got = decibel(frame_power(y_pred))
    gap = keras.ops.abs(wanted - got)
    return keras.ops.mean(gap, axis=-1) + keras.ops.mean((y_true - y_pred) ** 2, axis=-1)


coder = keras.Sequential(
    [
        keras.Input((SAMPLES,)),
        keras.layers.Dense(32, activation="tanh", use_bias=False),
        keras.layers.Dense(SAMPLES, use_bias=False),
    ],
    name="coder",
)
coder.compile("adam", level_loss)
coder.fit(waves, waves, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
