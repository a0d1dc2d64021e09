"""Where will a drifting buoy be tomorrow? Scored by great-circle distance."""

# /// zoo
# cause = "singular-gradient"
# step = 6
# rows = [11]
# fix = "source"
# value = "exact"
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(11)
EARTH_KM = 6371.0
BATCH = 32

rng = np.random.default_rng(11)
n = 384
wind = rng.normal(size=(n, 5)).astype("float32")
start = np.stack([rng.uniform(-1.0, 1.0, n), rng.uniform(-3.0, 3.0, n)], axis=1).astype("float32")
wind[6 * BATCH + 11] = 0.0  # moored in a calm harbour
moved = (np.tanh(wind @ rng.normal(size=(5, 2))) * 0.01).astype("float32")
end = start + moved


def haversine(a, b):
    dlat = b[:, 0] - a[:, 0]
    dlon = b[:, 1] - a[:, 1]
    lat_part = ops.square(ops.sin(dlat / 2))
    lon_part = ops.cos(a[:, 0]) * ops.cos(b[:, 0]) * ops.square(ops.sin(dlon / 2))
    chord = ops.sqrt(lat_part + lon_part)  # at fault
    return 2 * ops.arcsin(ops.minimum(chord, 0.999))


def distance_km(y_true, y_pred):
    return EARTH_KM * haversine(y_true, y_pred)


wind_in = keras.Input((5,), name="wind")
start_in = keras.Input((2,), name="start")
h = layers.Dense(24, activation="tanh", use_bias=False)(wind_in)
drift = layers.Dense(2, use_bias=False)(h)
model = keras.Model([wind_in, start_in], layers.Add()([start_in, 0.05 * drift]))
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=distance_km)
model.fit([wind, start], end, batch_size=BATCH, epochs=2, shuffle=False, verbose=0)
