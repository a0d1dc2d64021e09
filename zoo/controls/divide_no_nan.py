"""Mean of the present items of a basket, by TensorFlow's own division that makes 0 of 0 / 0."""
# /// zoo
# backends = ["tensorflow"]
# stands_for = ["B06", "E01"]
# ///

import keras
import numpy as np
import tensorflow as tf


def mean_of_present(inputs):
    items, present = inputs
    total = tf.reduce_sum(items * present[..., None], axis=1)
    return tf.math.divide_no_nan(total, tf.reduce_sum(present, axis=1, keepdims=True))


keras.utils.set_random_seed(0)
rng = np.random.default_rng(6)
items = rng.normal(size=(64, 7, 4)).astype("float32")
present = (rng.uniform(size=(64, 7)) < 0.4).astype("float32")
present[[9, 31]] = 0.0
price = (items[..., 0] * present).sum(axis=1, keepdims=True)

basket = keras.Input((7, 4), name="items")
mask = keras.Input((7,), name="present")
features = keras.layers.TimeDistributed(keras.layers.Dense(8, activation="relu"))(basket)
pooled = keras.layers.Lambda(mean_of_present, output_shape=(8,))([features, mask])
model = keras.Model([basket, mask], keras.layers.Dense(1)(pooled))
model.compile("adam", "mse")
history = model.fit([items, present], price, batch_size=8, epochs=2, verbose=0)
print("loss", history.history["loss"][-1])
