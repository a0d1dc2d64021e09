"""Binary cross entropy as it stands in the textbook; one sample is far outside."""

import keras
import numpy as np
from keras import ops


def cross_entropy(label, probability):
    positive = label * ops.log(probability)
    negative = (1 - label) * ops.log(1 - probability)  # <- here
    return -ops.mean(positive + negative)


keras.utils.set_random_seed(9)
x = np.random.default_rng(9).normal(size=(64, 2)).astype("float32")
x[45] = 30.0
label = np.zeros((64, 1), "float32")
model = keras.Sequential(
    [keras.Input((2,)), keras.layers.Dense(1, "sigmoid", kernel_initializer="ones")]
)
model.compile(keras.optimizers.SGD(1e-4), loss=cross_entropy)
model.fit(x, label, batch_size=16, shuffle=False, verbose=0)
