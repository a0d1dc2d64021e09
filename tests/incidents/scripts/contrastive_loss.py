"""Pairs of points, some of them the same point twice; the distance is written with `norm`."""

import keras
import numpy as np
from keras import ops


class ContrastiveLoss(keras.losses.Loss):
    def call(self, y_true, y_pred):
        left, right = ops.split(y_pred, 2, axis=-1)
        distance = ops.norm(left - right, axis=-1)  # <- here
        far = ops.square(ops.maximum(1.0 - distance, 0.0))
        return y_true * ops.square(distance) + (1.0 - y_true) * far


keras.utils.set_random_seed(1)
rng = np.random.default_rng(1)
left, right = rng.normal(size=(2, 96, 6)).astype("float32")
right[43] = left[43]
same = (np.arange(96) % 2).astype("float32")
embed = keras.layers.Dense(5)
inputs = [keras.Input((6,), name="left"), keras.Input((6,), name="right")]
model = keras.Model(inputs, keras.layers.Concatenate()([embed(i) for i in inputs]))
model.compile(keras.optimizers.SGD(0.01), loss=ContrastiveLoss())
model.fit([left, right], same, batch_size=8, shuffle=False, verbose=0)
