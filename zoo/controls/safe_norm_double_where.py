"""Unit vectors with both wheres in place; some rows are zero."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(54)
rng = np.random.default_rng(54)
x = rng.normal(size=(320, 5)).astype("float32")
x[7::16] = 0.0
y = rng.normal(size=(320, 3)).astype("float32")


def unit(v):
    squared = ops.sum(v * v, axis=-1, keepdims=True)
    zero = squared == 0.0
    length = ops.sqrt(ops.where(zero, 1.0, squared))
    return ops.where(zero, 0.0, v / length)


inputs = keras.Input((5,))
h = layers.Dense(3, use_bias=False)(inputs)
h = layers.Lambda(unit, output_shape=(3,))(h)
model = keras.Model(inputs, h)
model.compile(keras.optimizers.SGD(0.1), "cosine_similarity")
model.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0)
