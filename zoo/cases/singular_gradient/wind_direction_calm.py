"""Wind direction as the angle of a predicted vector. In a dead calm the vector is (0, 0): arctan2
gives 0, but it has no derivative there."""

# /// zoo
# cause = "singular-gradient"
# step = 10
# rows = [1]
# fix = "source"
# value = "exact"
# backends = ["jax", "tensorflow"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(5)
rng = np.random.default_rng(5)

gusts = rng.normal(size=(200, 6)).astype("float32")
mix = rng.normal(size=(6, 2)).astype("float32")
vectors = gusts @ mix
direction = np.arctan2(vectors[:, 0], vectors[:, 1])[:, None].astype("float32")
gusts[101] = 0.0  # no wind at all on any of the six masts
direction[101] = 0.0


def bearing(v):
    return ops.expand_dims(ops.arctan2(v[:, 0], v[:, 1]), -1)  # at fault


def circular_error(y_true, y_pred):
    return ops.mean(1.0 - ops.cos(y_pred - y_true), axis=-1)


masts = keras.Input((6,))
h = layers.Dense(16, activation="relu", use_bias=False)(masts)
v = layers.Dense(2, use_bias=False)(h)
model = keras.Model(masts, bearing(v))
model.compile(optimizer="adam", loss=circular_error)
model.fit(gusts, direction, batch_size=10, epochs=1, shuffle=False, verbose=0)
