"""The likelihood of a trajectory as the product of its steps, and then the log. For one noisy track
the product of 24 small densities rounds to 0.
"""

# /// zoo
# cause = "log-of-zero"
# step = 9
# rows = [5]
# fix = "source"
# value = "exact"
# backends = ["tensorflow"]
# ///
import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(301)
rng = np.random.default_rng(301)
TRACKS, STEPS, BATCH = 150, 24, 10

drift = rng.uniform(-1, 1, (TRACKS, 1))
steps = drift + rng.normal(0, 0.5, (TRACKS, STEPS))
steps[9 * BATCH + 5] += rng.choice([-6.0, 6.0], STEPS)  # lost the satellite
context = np.concatenate([drift, drift**2], axis=1).astype("float32")
steps = steps.astype("float32")


def trajectory_nll(steps, drift):
    density = tf.exp(-0.5 * tf.square(steps - drift)) / tf.sqrt(2.0 * np.pi)
    likelihood = tf.reduce_prod(density, axis=-1)
    return -tf.math.log(likelihood)  # at fault


data = tf.data.Dataset.from_tensor_slices((context, steps)).batch(BATCH).prefetch(1)
model = keras.Sequential(
    [
        keras.Input((2,)),
        layers.Dense(8, activation="tanh"),
        layers.Dense(1, kernel_initializer="zeros"),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(2e-3), loss=trajectory_nll)
model.fit(data, epochs=2, verbose=2)
