"""A taxonomy is embedded in the Poincare ball; depth is the distance from its centre, 2 artanh |x|.

The embedding is a plain linear map. A concept with many descendants lands outside the ball, where
artanh is not defined.
"""

# /// zoo
# cause = "out-of-domain"
# step = 5
# rows = [6]
# fix = "source"
# value = "undefined"
# stands_for = ["C03"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(4)
concepts = rng.uniform(-1, 1, size=(128, 5))
depth = 2 * np.arctanh(0.15 * np.linalg.norm(concepts, axis=1))
concepts[46] *= 30.0
depth[46] = 6.0
concepts, depth = concepts.astype("float32"), depth.astype("float32")


class PoincareDepth(layers.Layer):
    def call(self, point):
        squared = ops.sum(ops.square(point), axis=-1)
        radius = ops.sqrt(squared + 1e-9)
        return 2.0 * ops.arctanh(radius)  # at fault


into_the_ball = keras.initializers.Orthogonal(gain=0.2, seed=0)
inputs = keras.Input((5,))
embedded = layers.Dense(3, use_bias=False, kernel_initializer=into_the_ball)(inputs)
embedder = keras.Model(inputs, PoincareDepth()(embedded))
embedder.compile(optimizer=keras.optimizers.SGD(0.01), loss="mean_absolute_error")
embedder.fit(concepts, depth, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("error:", embedder.evaluate(concepts, depth, verbose=0))
