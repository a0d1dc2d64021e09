"""A tf.data pipeline that drops the records that hold NaN before they are put into batches."""
# /// zoo
# backends = ["tensorflow"]
# stands_for = ["I01"]
# ///

import keras
import numpy as np
import tensorflow as tf

keras.utils.set_random_seed(0)
rng = np.random.default_rng(29)
x = rng.normal(size=(120, 4)).astype("float32")
x[[5, 33, 34, 90], 1] = np.nan
y = np.nan_to_num(x).sum(axis=1, keepdims=True)


def whole(features, _):
    return tf.reduce_all(tf.math.is_finite(features))


dataset = tf.data.Dataset.from_tensor_slices((x, y)).filter(whole).batch(8).prefetch(1)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.01), "mse")
history = model.fit(dataset, epochs=3, verbose=0)
print("loss", history.history["loss"][-1])
