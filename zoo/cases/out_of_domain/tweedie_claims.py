"""Pure premium with a Tweedie loss of power 1.5 in TensorFlow."""

# /// zoo
# cause = "out-of-domain"
# step = 6
# rows = [17]
# fix = "source"
# value = "undefined"
# backends = ["tensorflow"]
# ///

import keras
import numpy as np
import tensorflow as tf

keras.utils.set_random_seed(6)
rng = np.random.default_rng(6)
BATCH, POWER = 32, 1.5
risk = rng.uniform(0.0, 1.0, (512, 3)).astype("float32")
risk[6 * BATCH + 17] = [-5.0, -5.0, -5.0]  # log of a tiny exposure
paid = rng.gamma(2.0, 1.0 + risk.clip(0).sum(1)).astype("float32")
paid[rng.random(512) < 0.2] = 0.0


def tweedie(y_true, mu):
    y_true = tf.reshape(y_true, (-1, 1))
    a = y_true * tf.pow(mu, 1.0 - POWER) / (1.0 - POWER)  # at fault
    b = tf.pow(mu, 2.0 - POWER) / (2.0 - POWER)
    return tf.reduce_mean(b - a, axis=-1)


model = keras.Sequential(
    [keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer="ones")]
)
model.compile(optimizer=keras.optimizers.Adam(0.05), loss=tweedie)
model.fit(risk, paid, batch_size=BATCH, epochs=2, shuffle=False, verbose=0)
