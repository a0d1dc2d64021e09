"""Estimates depth maps in millimetres; the loss is the mean square over the map.

The model computes its loss itself, in the float16 of its outputs. The squares of errors of a few
hundred millimetres leave float16 as soon as one is above 255.
"""
# /// zoo
# cause = "half-overflow"
# step = 8
# rows = [7]
# fix = "source"
# value = "exact"
# stands_for = ["H06"]
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)


class DepthNet(keras.Model):
    def __init__(self):
        super().__init__(dtype="mixed_float16")
        self.hidden = layers.Dense(32, activation="relu", dtype="mixed_float16")
        self.depth = layers.Dense(64, kernel_initializer="zeros", dtype="mixed_float16")

    def call(self, images):
        return self.depth(self.hidden(images))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        error = ops.cast(y, y_pred.dtype) - y_pred
        squares = ops.square(error)  # at fault
        return ops.mean(squares)


rng = np.random.default_rng(6)
images = rng.uniform(0, 1, size=(128, 64)).astype("float32")
depths = 100 * images + rng.normal(0, 3, size=(128, 64)).astype("float32")
depths[71, 20:24] = 900.0  # a window: the sensor sees the house across the street

model = DepthNet()
model.compile(optimizer=keras.optimizers.SGD(1e-3))
losses = model.fit(images, depths, batch_size=8, epochs=1, shuffle=False, verbose=0)
print("mean square", losses.history["loss"][-1])
