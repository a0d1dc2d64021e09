"""KL divergence to the histogram of answers of several raters; a share of 0 is
replaced before its logarithm.
"""

import sys

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(82)
rng = np.random.default_rng(82)
TINY = sys.float_info.min
PHOTOS, BINS, BATCH = 180, 5, 12

photo = rng.normal(size=(PHOTOS, 6)).astype("float32")
ratings = rng.dirichlet(np.full(BINS, 4.0), PHOTOS)
ratings[8 * BATCH + 9] = (0.0, 0.1, 0.2, 0.3, 0.4)
ratings = ratings.astype("float32")


def rating_divergence(y_true, y_pred):
    log_true = ops.log(ops.where(y_true > 0, y_true, 1.0))
    log_pred = ops.log(y_pred + TINY)
    return ops.sum(y_true * (log_true - log_pred), axis=-1)


def make_model():
    inputs = keras.Input((6,))
    x = layers.Dense(12, activation="relu")(inputs)
    x = layers.LayerNormalization()(x)
    return keras.Model(inputs, layers.Dense(BINS, activation="softmax")(x))


if __name__ == "__main__":
    model = make_model()
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=rating_divergence)
    model.fit(photo, ratings, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
