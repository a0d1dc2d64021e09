"""The histograms of `word_histogram_distance.py`; the root has no slope at 0."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(31)
style = rng.uniform(0.2, 1.0, size=(96, 3)).astype("float32")
style[77] = [-0.9, 0.5, 0.5]  # a rating that was entered with the wrong sign
mixing = rng.uniform(0.5, 1.0, size=(3, 6))
histogram = np.abs(style) @ mixing
histogram = (histogram / histogram.sum(axis=1, keepdims=True)).astype("float32")


class Frequencies(layers.Layer):
    """Non-negative and of sum 1."""

    def call(self, x):
        positive = ops.relu(x)
        return positive / (ops.sum(positive, axis=-1, keepdims=True) + 1e-3)


def root(p):
    occurs = p > 0
    return ops.where(occurs, ops.sqrt(ops.where(occurs, p, 1.0)), 0.0)


def hellinger(p, q):
    return 0.5 * ops.sum(ops.square(root(p) - root(q)), axis=-1)


weights = np.array(
    [[1.0, 0.2, 0.3, 0.2, 0.3, 0.2], [0.2, 0.8, 0.5, 0.6, 0.7, 0.8], [0.3, 0.6, 0.7, 0.8, 0.6, 0.5]]
)
model = keras.Sequential(
    [
        keras.Input((3,)),
        layers.Dense(6, use_bias=False, kernel_initializer=keras.initializers.Constant(weights)),
        Frequencies(),
    ]
)
model.compile(optimizer=keras.optimizers.SGD(0.05, nesterov=True, momentum=0.5), loss=hellinger)
model.fit(style, histogram, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("Hellinger distance:", model.evaluate(style, histogram, verbose=0))
