"""Bike rentals as Poisson counts; softplus and likelihood by hand in TensorFlow."""

# /// zoo
# cause = "overflow"
# step = 10
# rows = [30]
# fix = "source"
# value = "exact"
# backends = ["tensorflow"]
# ///

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import make_regression

keras.utils.set_random_seed(18)
BATCH = 32
x, signal = make_regression(
    n_samples=512, n_features=4, n_informative=4, noise=1.0, random_state=18
)
rentals = np.random.default_rng(18).poisson(np.logaddexp(0, signal / 40) + 0.5).astype("float32")
x = x.astype("float32")
x[10 * BATCH + 30] = 293.0  # Kelvin, never standardised


def rate(eta):
    grown = tf.exp(eta)  # at fault
    return tf.math.log(1.0 + grown) + 1e-3


@tf.function
def poisson(y_true, eta):
    mu = rate(eta)
    return tf.reduce_mean(mu - y_true * tf.math.log(mu), axis=-1)


model = keras.Sequential(
    [
        keras.Input((4,)),
        keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.4)),
    ]
)
model.compile(keras.optimizers.Adam(0.01), loss=poisson)
model.fit(x, rentals[:, None], batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
