"""Click rates of ads, 0 of 0 for those never shown, by divide_no_nan on data and on weights."""

# /// zoo
# backends = ["tensorflow"]
# ///
import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(211)
rng = np.random.default_rng(211)
shown = rng.poisson(2, (200, 4)).astype("float32")
clicks = rng.binomial(shown.astype(int), 0.3).astype("float32")
bought = clicks.sum(axis=1, keepdims=True) + rng.normal(0, 0.1, (200, 1))
data = tf.data.Dataset.from_tensor_slices((np.stack([clicks, shown], -1), bought.astype("float32")))


class Rate(layers.Layer):
    def build(self, shape):
        self.trust = self.add_weight(shape=(shape[1],), initializer="ones")

    def call(self, x):
        clicks, shown = x[..., 0], x[..., 1]
        return tf.math.divide_no_nan(clicks * self.trust, shown)


model = keras.Sequential([keras.Input((4, 2)), Rate(), layers.Dense(8, "relu"), layers.Dense(1)])
model.compile(optimizer="adam", loss="mse")
model.fit(data.batch(20), epochs=3, verbose=2)
