"""Ordered categories between cut points, the outermost of which are minus and plus infinity."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(210)
rng = np.random.default_rng(210)
x = rng.normal(size=(200, 3)).astype("float32")
grade = np.digitize(x @ np.array([1.0, -0.5, 0.2]) + rng.logistic(0, 0.5, 200), [-1.0, 0.0, 1.0])
CUTS = np.array([-np.inf, -1.0, 0.0, 1.0, np.inf], "float32")


def cumulative_link(y_true, score):
    label = ops.reshape(ops.cast(y_true, "int32"), (-1, 1))
    below = ops.sigmoid(ops.take(CUTS, label + 1) - score)
    above = ops.sigmoid(ops.take(CUTS, label) - score)
    return -ops.log(ops.maximum(below - above, 1e-7))


model = keras.Sequential([keras.Input((3,)), layers.Dense(6, "tanh"), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(0.02), loss=cumulative_link)
model.fit(x, grade, batch_size=20, epochs=4, shuffle=False, verbose=2)
