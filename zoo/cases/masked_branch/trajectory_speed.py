"""Mean speed of tracked animals; short tracks are padded with zeros and masked."""

# /// zoo
# cause = "masked-branch"
# step = 7
# rows = [4, 15]
# fix = "source"
# value = "exact"
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(2)
rng = np.random.default_rng(2)
N, T, B = 320, 12, 20

hops = rng.normal(size=(N, T, 3)).astype("float32")
dt = rng.uniform(0.5, 2.0, (N, T)).astype("float32")
lengths = np.full(N, T)
lengths[7 * B + 4], lengths[7 * B + 15] = 8, 5
lengths[10 * B :] = rng.integers(4, T + 1, N - 10 * B)
valid = (np.arange(T)[None, :] < lengths[:, None]).astype("float32")
hops *= valid[..., None]
dt *= valid
true_speed = (np.linalg.norm(hops, axis=-1) * valid).sum(1) / dt.sum(1)


class MeanSpeed(layers.Layer):
    def call(self, distance, dt, valid):
        speed = ops.divide(distance, dt)  # at fault
        total = ops.sum(speed * valid, axis=1)
        return total / ops.sum(valid, axis=1)


hop_in = keras.Input((T, 3))
dt_in = keras.Input((T,))
valid_in = keras.Input((T,))
x = layers.Dense(16, activation="relu")(hop_in)
x = layers.Dense(1, activation="softplus")(x)
distance = layers.Reshape((T,))(x)
speed = MeanSpeed()(distance, dt_in, valid_in)
model = keras.Model([hop_in, dt_in, valid_in], speed)
model.compile(keras.optimizers.RMSprop(1e-3), "mse")
model.fit([hops, dt, valid], true_speed, batch_size=B, epochs=2, shuffle=False, verbose=0)
