"""The direction of `walking_direction.py`; arctan2 never sees the origin."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(6)
heading = rng.uniform(-2.5, 2.5, size=120)
steps = np.stack([np.cos(heading), np.sin(heading)], axis=-1)[:, None, :]
tracks = 0.7 * steps + 0.1 * rng.normal(size=(120, 6, 2))
tracks[75] = 0.0  # waits at the crossing
tracks, heading = tracks.astype("float32"), heading.astype("float32")

inputs = keras.Input((6, 2))
h = layers.Flatten()(inputs)
h = layers.Dense(16, activation="tanh", use_bias=False)(h)
velocity = layers.Dense(2, use_bias=False)(h)
model = keras.Model(inputs, velocity)


def turning_error(y_true, y_pred):
    true_angle = ops.reshape(y_true, (-1,))
    vx, vy = y_pred[:, 0], y_pred[:, 1]
    stands = ops.square(vx) + ops.square(vy) == 0
    angle = ops.arctan2(vy, ops.where(stands, 1.0, vx))
    return 1.0 - ops.cos(angle - true_angle)


model.compile(optimizer=keras.optimizers.Nadam(2e-3), loss=turning_error)
model.fit(tracks, heading, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("1 - cos(error):", model.evaluate(tracks, heading, verbose=0))
