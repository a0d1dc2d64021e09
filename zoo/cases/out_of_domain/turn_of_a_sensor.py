"""The turn between two orientations is an input of an activity classifier: 2 arccos |<p, q>|.

The unit quaternions were stored in float16. A sensor at rest has p equal to q, and their product
is 1.0004 where it should be 1.
"""

# /// zoo
# cause = "out-of-domain"
# step = 9
# rows = [7]
# fix = "source"
# value = "undefined"
# stands_for = ["C01", "C03"]
# ///
import keras
import numpy as np
from keras import layers
from keras import ops as K

keras.utils.set_random_seed(0)
rng = np.random.default_rng(2)


def quaternion(angle):
    axis = np.array([0.48, 0.6, 0.64])
    half = np.asarray(angle)[..., None] / 2
    return np.concatenate([np.cos(half), np.sin(half) * axis], axis=-1)


walking = rng.integers(2, size=128)
before = rng.uniform(0.2, 2.0, size=128)
after = before + np.where(walking, 0.8, 0.3) + rng.uniform(0, 0.2, size=128)
before[79] = after[79] = 0.6  # on the table
orientations = np.stack([quaternion(before), quaternion(after)], axis=1)
orientations = orientations.astype("float16").astype("float32")


def turn(pair):
    p, q = pair[:, 0], pair[:, 1]
    cosine = K.abs(K.sum(p * q, axis=-1, keepdims=True))
    return 2.0 * K.arccos(cosine)  # at fault


model = keras.Sequential(
    [
        keras.Input((2, 4)),
        layers.Lambda(turn, output_shape=(1,)),
        layers.Dense(8, activation="relu"),
        layers.Dense(2),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(0.01),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(orientations, walking, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate(orientations, walking, verbose=0))
