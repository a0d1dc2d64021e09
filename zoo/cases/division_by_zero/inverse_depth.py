"""A depth network is trained on inverse depth, as is usual for far scenes.

The network ends in a ReLU. At a pixel that it believes to touch the camera the depth is 0.
"""

# /// zoo
# cause = "division-by-zero"
# step = 4
# rows = [7]
# fix = "source"
# value = "bounded"
# stands_for = ["GRIST 28a"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(70)
depth = rng.uniform(1, 5, size=(80, 6, 6, 1))
brightness = 0.3 + 0.2 * depth + 0.05 * rng.normal(size=depth.shape)
brightness[39, 2:4, 2:4] = -2.0  # a hot pixel after the dark frame was subtracted
depth, brightness = depth.astype("float32"), brightness.astype("float32")

positive = keras.initializers.RandomUniform(0.2, 0.5, seed=3)
camera = keras.Input((6, 6, 1))
h = layers.Conv2D(6, 1, activation="linear", kernel_initializer=positive)(camera)
predicted = layers.Conv2D(1, 1, activation="relu", kernel_initializer=positive)(h)
network = keras.Model(camera, predicted)


def inverse_depth_error(true_depth, predicted_depth):
    true_inverse = 1.0 / true_depth
    inverse = 1.0 / predicted_depth  # at fault
    return ops.mean(ops.abs(true_inverse - inverse), axis=(1, 2, 3))


network.compile(optimizer=keras.optimizers.SGD(0.01), loss=inverse_depth_error)
network.fit(brightness, depth, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("error:", network.evaluate(brightness[:32], depth[:32], verbose=0))
